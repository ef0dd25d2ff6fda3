use std::collections::HashMap;

/// Graphs that are kept of one session.
pub(crate) const MAX_GRAPHS: usize = 64;
/// Runs without a graph that are remembered.
const MAX_SEEN: usize = 1024;

/// What a run is like: two runs that are alike can be the same graph.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct RunKey {
    /// Place of the profile.
    pub(crate) profile: usize,
    /// Shapes of all inputs, one after the other; the engine knows their ranks.
    pub(crate) lengths: Vec<usize>,
    /// Addresses of inputs, outputs and the memory of activations.
    pub(crate) addresses: Vec<usize>,
    /// Handle of the stream.
    pub(crate) stream: usize,
}

/// What to do about a run.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next<'a, G> {
    /// To run it.
    Run,
    /// To run it and to keep a graph of it.
    Capture,
    /// To launch its graph.
    Launch(&'a G),
}

/// The graphs of a session, by what their runs are like.
///
/// The first run of a kind is run, the second one is captured, later ones are launched. Where there is no room for
/// another graph, the one that was launched longest ago makes room, but only if that was before the last run of the
/// kind that takes its place: where more kinds take turns than there is room for, as many as fit keep their graphs.
#[derive(Debug)]
pub(crate) struct Graphs<G> {
    room: usize,
    /// Counts runs.
    clock: u64,
    kept: HashMap<RunKey, Kept<G>>,
    /// When kinds without a graph were last run.
    seen: HashMap<RunKey, u64>,
}

#[derive(Debug)]
struct Kept<G> {
    graph: G,
    last_run: u64,
}

impl<G> Graphs<G> {
    /// For at most this many graphs.
    pub(crate) fn new(room: usize) -> Self {
        Self { room, clock: 0, kept: HashMap::new(), seen: HashMap::new() }
    }

    /// What to do about a run, which then counts as done.
    pub(crate) fn next(&mut self, key: &RunKey) -> Next<'_, G> {
        self.clock += 1;
        if !self.kept.contains_key(key) {
            return self.next_without_graph(key);
        }
        match self.kept.get_mut(key) {
            Some(kept) => {
                kept.last_run = self.clock;
                Next::Launch(&kept.graph)
            }
            None => Next::Run,
        }
    }

    /// Keeps the graph of a run. Gives the one that made room, if there is one.
    pub(crate) fn keep(&mut self, key: RunKey, graph: G) -> Option<G> {
        let mut oldest = None;
        if self.kept.len() >= self.room {
            oldest = self.oldest().cloned().and_then(|key| self.kept.remove(&key));
        }
        self.seen.remove(&key);
        self.kept.insert(key, Kept { graph, last_run: self.clock });
        oldest.map(|kept| kept.graph)
    }

    /// Keeps no more graphs than there are.
    pub(crate) fn close(&mut self) {
        self.room = self.kept.len();
    }

    fn next_without_graph(&mut self, key: &RunKey) -> Next<'_, G> {
        let clock = self.clock;
        if let Some(last_run) = self.seen.get_mut(key) {
            let before = std::mem::replace(last_run, clock);
            let is_newer = |oldest: &RunKey| self.kept.get(oldest).is_none_or(|kept| kept.last_run < before);
            let has_room = self.kept.len() < self.room || self.oldest().is_some_and(is_newer);
            return if has_room { Next::Capture } else { Next::Run };
        }
        if self.seen.len() >= MAX_SEEN {
            let oldest = self.seen.iter().min_by_key(|(_, last_run)| **last_run).map(|(key, _)| key.clone());
            oldest.map(|key| self.seen.remove(&key));
        }
        self.seen.insert(key.clone(), clock);
        Next::Run
    }

    fn oldest(&self) -> Option<&RunKey> {
        self.kept.iter().min_by_key(|(_, kept)| kept.last_run).map(|(key, _)| key)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests panic where they fail")]
mod tests {
    use super::*;

    fn key(profile: usize) -> RunKey {
        RunKey { profile, lengths: vec![1, 2], addresses: vec![256, 512], stream: 7 }
    }

    /// Runs that kind once, and says what was done.
    fn run(graphs: &mut Graphs<usize>, profile: usize) -> &'static str {
        let key = key(profile);
        match graphs.next(&key) {
            Next::Launch(graph) => {
                assert_eq!(*graph, profile);
                "launch"
            }
            Next::Run => "run",
            Next::Capture => {
                graphs.keep(key, profile);
                "capture"
            }
        }
    }

    #[test]
    fn the_second_run_of_a_kind_is_captured_and_later_ones_are_launched() {
        let mut graphs = Graphs::new(4);
        let done: Vec<_> = [0, 1, 0, 0, 1, 1, 0].into_iter().map(|profile| run(&mut graphs, profile)).collect();
        assert_eq!(done, ["run", "run", "capture", "launch", "capture", "launch", "launch"]);
    }

    #[test]
    fn whatever_differs_is_another_kind() {
        let base = key(0);
        let others = [
            RunKey { profile: 1, ..base.clone() },
            RunKey { lengths: vec![2, 1], ..base.clone() },
            RunKey { addresses: vec![256, 768], ..base.clone() },
            RunKey { stream: 8, ..base.clone() },
        ];
        let mut graphs = Graphs::<()>::new(4);
        graphs.next(&base);
        for other in &others {
            assert_eq!(graphs.next(other), Next::Run, "{other:?}");
        }
        assert_eq!(graphs.next(&base), Next::Capture);
    }

    #[test]
    fn kinds_that_take_turns_keep_as_many_graphs_as_fit() {
        let mut graphs = Graphs::new(2);
        for round in 0..5 {
            let done: Vec<_> = (0..3).map(|profile| run(&mut graphs, profile)).collect();
            let expected = match round {
                0 => ["run", "run", "run"],
                1 => ["capture", "capture", "run"],
                _ => ["launch", "launch", "run"],
            };
            assert_eq!(done, expected, "round {round}");
        }
    }

    #[test]
    fn new_kinds_take_the_place_of_those_that_are_no_longer_run() {
        let mut graphs = Graphs::new(2);
        for profile in [0, 1, 0, 1, 2, 2] {
            run(&mut graphs, profile);
        }
        assert_eq!(graphs.kept.len(), 2);
        assert_eq!((run(&mut graphs, 2), run(&mut graphs, 1)), ("launch", "launch"), "0 made room");
        assert_eq!(run(&mut graphs, 0), "run");
    }

    #[test]
    fn closed_there_is_room_for_no_more() {
        let mut graphs = Graphs::new(4);
        for profile in [0, 0, 1] {
            run(&mut graphs, profile);
        }
        graphs.close();
        assert_eq!((run(&mut graphs, 0), run(&mut graphs, 1)), ("launch", "run"));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut graphs = Graphs::new(0);
        for profile in 0..2 * MAX_SEEN {
            assert_eq!(run(&mut graphs, profile), "run");
        }
        assert_eq!(graphs.seen.len(), MAX_SEEN);
        assert_eq!(run(&mut graphs, 2 * MAX_SEEN - 1), "run", "there is room for none");
    }
}
