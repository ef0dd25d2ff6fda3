use std::ops::Range;

use egom2p_model::{Modality, ModelConfig};

use super::layout::TableLayout;
use crate::generation::{Chaining, Encoding, GenerationPlan, GenerationSettings, PlannedStep};

/// Words between the starts of two lists: engines want tensors at multiples of 256 bytes.
const ALIGNMENT: usize = 32;

/// The steps as the device runs them, with every list of indices that they need. It is computed and uploaded once.
#[derive(Clone, Debug)]
pub(crate) struct DeviceSchedule {
    pub(crate) steps: Vec<DeviceStep>,
    /// The lists, one after another.
    pub(crate) words: Vec<i64>,
}

/// One step of one target, or of several targets side by side. A lane is a row of the batch: a target of a clip. The
/// lanes of a clip follow each other.
#[derive(Clone, Debug)]
pub(crate) struct DeviceStep {
    /// The steps of the plan that are the lanes of a clip.
    pub(crate) planned: Vec<usize>,
    /// Where the encoder states of the conditional pass come from.
    pub(crate) encoding: Encoding,
    /// Whether there is an unconditional pass.
    pub(crate) guided: bool,
    /// Tokens of the condition.
    pub(crate) n_condition: usize,
    /// Decoded tokens of a lane.
    pub(crate) n_decoded: usize,
    /// Queries of a lane.
    pub(crate) n_queries: usize,
    /// The condition, a row per clip, where it is encoded.
    pub(crate) condition: Option<Places>,
    /// Condition and decoded tokens, a row per lane, where they are encoded together.
    pub(crate) whole: Option<Places>,
    /// The decoded tokens, a row per lane, where they are encoded alone.
    pub(crate) decoded: Option<Places>,
    /// The queries, a row per lane.
    pub(crate) queries: Places,
}

/// Places in the table: three lists `[rows, n]` among the words of the schedule.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    /// Places of a row.
    pub(crate) n: usize,
    /// Elements of the table.
    pub(crate) slots: Range<usize>,
    /// Indices of modalities.
    pub(crate) modality: Range<usize>,
    /// Positions.
    pub(crate) position: Range<usize>,
}

impl DeviceSchedule {
    /// The steps of a plan for up to `batch` clips. With `side_by_side`, targets whose steps have equal sizes share the
    /// batch where no target sees another.
    pub(crate) fn new(
        config: &ModelConfig,
        settings: &GenerationSettings,
        plan: &GenerationPlan,
        (batch, side_by_side): (usize, bool),
    ) -> Self {
        let mut schedule = Self { steps: Vec::new(), words: Vec::new() };
        let layout = TableLayout::new(config);
        for group in groups(settings, plan, side_by_side) {
            let n_steps = group.first().map_or(0, Vec::len);
            for step in 0..n_steps {
                let planned: Vec<usize> = group.iter().map(|steps| steps[step]).collect();
                let lanes: Vec<&PlannedStep> = planned.iter().map(|&index| &plan.steps[index]).collect();
                schedule.push(config, &layout, batch, planned, &lanes);
            }
        }
        schedule
    }

    fn push(
        &mut self,
        config: &ModelConfig,
        layout: &TableLayout,
        batch: usize,
        planned: Vec<usize>,
        lanes: &[&PlannedStep],
    ) {
        let Some(&first) = lanes.first() else { return };
        let condition = (first.encoding == Encoding::Condition && !first.queries.is_empty())
            .then(|| self.places(layout, batch, &[first.condition_places(config).collect()]));
        let whole = (first.encoding == Encoding::Whole).then(|| {
            let places = |lane: &&PlannedStep| lane.condition_places(config).chain(lane.decoded_places()).collect();
            self.places(layout, batch, &lanes.iter().map(places).collect::<Vec<_>>())
        });
        let decoded = first.encodes_decoded().then(|| {
            let places = |lane: &&PlannedStep| lane.decoded_places().collect();
            self.places(layout, batch, &lanes.iter().map(places).collect::<Vec<_>>())
        });
        let queries = |lane: &&PlannedStep| lane.queries.iter().map(|&position| (lane.modality, position)).collect();
        let queries = self.places(layout, batch, &lanes.iter().map(queries).collect::<Vec<_>>());
        self.steps.push(DeviceStep {
            planned,
            encoding: first.encoding,
            guided: first.guided,
            n_condition: first.n_condition(config),
            n_decoded: first.decoded.len(),
            n_queries: first.queries.len(),
            condition,
            whole,
            decoded,
            queries,
        });
    }

    /// The places of every row of a clip, repeated for every clip.
    fn places(&mut self, layout: &TableLayout, batch: usize, rows: &[Vec<(Modality, usize)>]) -> Places {
        let each = || (0..batch).flat_map(|clip| rows.iter().flatten().map(move |&place| (clip, place)));
        Places {
            n: rows.first().map_or(0, Vec::len),
            slots: self.list(each().map(|(clip, place)| layout.slot(clip, place))),
            modality: self.list(each().map(|(_, (modality, _))| modality.index())),
            position: self.list(each().map(|(_, (_, position))| position)),
        }
    }

    fn list(&mut self, values: impl Iterator<Item = usize>) -> Range<usize> {
        let start = self.words.len().next_multiple_of(ALIGNMENT);
        self.words.resize(start, 0);
        self.words.extend(values.map(|value| value as i64));
        start..self.words.len()
    }
}

/// The steps of the plan by targets, and the targets by what runs side by side.
fn groups(settings: &GenerationSettings, plan: &GenerationPlan, side_by_side: bool) -> Vec<Vec<Vec<usize>>> {
    let side_by_side = side_by_side && settings.chaining == Chaining::Independent;
    let mut groups: Vec<Vec<Vec<usize>>> = Vec::new();
    for target in 0..settings.targets.len() {
        let steps: Vec<usize> = (0..plan.steps.len()).filter(|&step| plan.steps[step].target == target).collect();
        let fitting = groups.iter_mut().find(|group| side_by_side && alike(settings, plan, &group[0], &steps));
        match fitting {
            Some(group) => group.push(steps),
            None => groups.push(vec![steps]),
        }
    }
    groups
}

/// Whether two targets take the same calls.
fn alike(settings: &GenerationSettings, plan: &GenerationPlan, a: &[usize], b: &[usize]) -> bool {
    let same = |(&a, &b): (&usize, &usize)| {
        let (a, b) = (&plan.steps[a], &plan.steps[b]);
        let (target_a, target_b) = (&settings.targets[a.target], &settings.targets[b.target]);
        a.decoded.len() == b.decoded.len()
            && a.queries.len() == b.queries.len()
            && a.guided == b.guided
            && target_a.guidance.to_bits() == target_b.guidance.to_bits()
            && target_a.guidance_on == target_b.guidance_on
    };
    a.len() == b.len() && a.iter().zip(b).all(same)
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use egom2p_model::Preset;

    use super::*;
    use crate::generation::TargetSettings;

    fn schedule(chaining: Chaining, n_steps: [usize; 2]) -> DeviceSchedule {
        let config = Preset::Tiny.config();
        let target = |modality, n_steps| TargetSettings { n_steps, ..TargetSettings::published(modality) };
        let settings = GenerationSettings {
            targets: vec![target(Modality::Camera, n_steps[0]), target(Modality::Gaze, n_steps[1])],
            seed: 0,
            chaining,
            reuse_encoder: false,
            head_rows: NonZeroUsize::MIN,
            n_threads: NonZeroUsize::MIN,
        };
        let plan = GenerationPlan::new(&config, &[Modality::Rgb], &settings).expect("sound settings");
        DeviceSchedule::new(&config, &settings, &plan, (2, true))
    }

    #[test]
    fn targets_of_equal_steps_run_side_by_side() {
        let lanes = |chaining, n_steps| {
            let schedule = schedule(chaining, n_steps);
            schedule.steps.iter().map(|step| step.planned.clone()).collect::<Vec<_>>()
        };
        assert_eq!(lanes(Chaining::Independent, [2, 2]), [vec![0, 2], vec![1, 3]]);
        assert_eq!(lanes(Chaining::Independent, [1, 2]), [vec![0], vec![1], vec![2]]);
        assert_eq!(lanes(Chaining::Growing, [1, 1]), [vec![0], vec![1]]);
    }

    #[test]
    fn lists_are_aligned_and_name_the_rows_of_their_clips() {
        let schedule = schedule(Chaining::Independent, [2, 2]);
        let layout = TableLayout::new(&Preset::Tiny.config());
        for step in &schedule.steps {
            let queries = &step.queries;
            assert_eq!(queries.slots.start % ALIGNMENT, 0);
            let lanes: Vec<&[i64]> = schedule.words[queries.slots.clone()].chunks(queries.n).collect();
            assert_eq!(lanes.len(), 4, "two clips of two targets");
            let second_clip: Vec<i64> = lanes[0].iter().map(|slot| slot + layout.n_positions() as i64).collect();
            assert_eq!(lanes[2], second_clip);
        }
    }
}
