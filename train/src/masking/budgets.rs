use crate::random::Random;

/// The largest share: the published draws are single precision and stay below 1, so that even where one modality gets
/// everything, one token is left for a new draw.
const MAX_SHARE: f64 = 1.0 - f32::EPSILON as f64 / 2.0;

/// How many tokens of every modality are visible and how many are targets, in the order of the modalities' index.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Budgets {
    /// What the encoder sees.
    pub visible: [usize; 4],
    /// What the decoder is asked for.
    pub targets: [usize; 4],
}

impl Budgets {
    /// Draws both budgets (`totals`: visible, targets) from Dirichlet distributions of these `alphas`; a modality whose
    /// alpha is 0 gets nothing.
    ///
    /// What a modality cannot hold is lost, not given to the others, as published.
    pub(crate) fn draw(
        alphas: [[f64; 4]; 2],
        totals: [usize; 2],
        n_tokens: &[usize; 4],
        present: [bool; 4],
        random: &mut Random,
    ) -> Self {
        let mut room = [0, 1, 2, 3].map(|modality| if present[modality] { n_tokens[modality] } else { 0 });
        let mut draw = |total: usize, alphas: [f64; 4]| {
            let alphas = [0, 1, 2, 3].map(|modality| if present[modality] { alphas[modality] } else { 0.0 });
            let drawn = split(&alphas, total, random);
            let budget = [0, 1, 2, 3].map(|modality| drawn[modality].min(room[modality]));
            for (room, taken) in room.iter_mut().zip(budget) {
                *room -= taken;
            }
            budget
        };
        let visible = draw(totals[0], alphas[0]);
        Self { visible, targets: draw(totals[1], alphas[1]) }
    }
}

/// A total, split by one draw and rounded down; each token of the rest goes where a new draw is largest.
fn split(alphas: &[f64; 4], total: usize, random: &mut Random) -> [usize; 4] {
    if alphas.iter().all(|&alpha| alpha <= 0.0) {
        return [0; 4];
    }
    let shares = dirichlet(alphas, random);
    let mut budget = shares.map(|share| (share.min(MAX_SHARE) * total as f64) as usize);
    for _ in budget.iter().sum::<usize>()..total {
        let shares = dirichlet(alphas, random);
        let largest = (1..4).fold(0, |best, next| if shares[next] > shares[best] { next } else { best });
        budget[largest] += 1;
    }
    budget
}

/// Shares of the modalities whose alpha is positive; the others have 0.
fn dirichlet(alphas: &[f64; 4], random: &mut Random) -> [f64; 4] {
    let logs = alphas.map(|alpha| if alpha > 0.0 { random.log_gamma(alpha) } else { f64::NEG_INFINITY });
    let largest = logs.into_iter().fold(f64::NEG_INFINITY, f64::max);
    let weights = logs.map(|log| (log - largest).exp());
    let sum: f64 = weights.iter().sum();
    weights.map(|weight| weight / sum)
}
