"""Writes vector_quantizer.safetensors: steps of a codebook that is searched by cosine similarity, from section 2.2 of the
specification, in float64, one latent and one code at a time; gradients by torch's autograd.

    python vector_quantizer.py .

Recipe: python3 -m venv .venv; .venv/bin/pip install torch==2.11.0 numpy==2.4.6 safetensors==0.8.0

Per step N: N/latents, N/weights (the gradient of a loss with respect to the quantised latents), N/rows (which latents replace
dead codes, in the order of the codes) go in; N/tokens, N/codes, N/commitment, N/gradient (of the latents), N/embed,
N/cluster_size (after the step) come out. before/embed and before/cluster_size are where it starts.
"""
import math
import pathlib
import sys

import torch
from safetensors.torch import save_file

DECAY, COMMITMENT_WEIGHT, DEAD_BELOW = 0.99, 1.0, 2.0
N_CODES, DIM, CLIPS, TOKENS, STEPS = 12, 5, 3, 7, 6
# A token is compared where its code leads by this much.
LEAST_MARGIN = 1e-4


def unit(vector):
    return vector / max(math.sqrt(sum(float(x) ** 2 for x in vector)), 1e-12)


def nearest(latent, embed):
    cosines = [float(unit(latent) @ unit(code)) for code in embed]
    best = max(range(N_CODES), key=lambda code: (cosines[code], -code))
    others = [cosine for code, cosine in enumerate(cosines) if code != best]
    return best, cosines[best] - max(others)


def losses(latents, embed, tokens, weights):
    """Codes, commitment loss and the gradient of commitment + sum(weights * quantised) with respect to the latents."""
    z = latents.clone().requires_grad_(True)
    codes = torch.stack([embed[token] for token in tokens.flatten()]).reshape(z.shape)
    commitment = COMMITMENT_WEIGHT * ((codes - z) ** 2).mean()
    straight_through = z + (codes - z).detach()
    (commitment + (weights * straight_through).sum()).backward()
    return codes, commitment.detach(), z.grad


def update(latents, tokens, embed, cluster_size, rows):
    """Moving averages, then replacement of dead codes; gives the number of dead codes too."""
    flat, tokens = latents.reshape(-1, DIM), tokens.flatten().tolist()
    embed, cluster_size = embed.clone(), cluster_size.clone()
    for code in range(N_CODES):
        own = [unit(latent) for latent, token in zip(flat, tokens) if token == code]
        mean = unit(sum(own) / len(own)) if own else unit(embed[code])
        cluster_size[code] = DECAY * cluster_size[code] + (1 - DECAY) * len(own)
        embed[code] = DECAY * embed[code] + (1 - DECAY) * mean
    dead = [code for code in range(N_CODES) if cluster_size[code] < DEAD_BELOW]
    for code, row in zip(dead, rows):
        embed[code] = unit(flat[row])
    return embed, cluster_size, len(dead)


def main(folder):
    generator = torch.Generator().manual_seed(1)
    random = lambda *shape: torch.randn(shape, generator=generator, dtype=torch.float64).float().double()
    embed = random(N_CODES, DIM)
    cluster_size = torch.tensor([0, 0.5, 1.98, 1.999, 2.0, 2.01, 2.03, 3, 10, 25, 40, 100.0], dtype=torch.float64)
    stored = {"before/embed": embed, "before/cluster_size": cluster_size.float().double()}
    cluster_size = stored["before/cluster_size"]
    replaced = []
    for step in range(STEPS):
        latents, weights = random(CLIPS, TOKENS, DIM) * (1 + step), random(CLIPS, TOKENS, DIM)
        found = [nearest(latent, embed) for latent in latents.reshape(-1, DIM)]
        assert min(margin for _, margin in found) > LEAST_MARGIN, "choose another seed"
        tokens = torch.tensor([token for token, _ in found]).reshape(CLIPS, TOKENS)
        codes, commitment, gradient = losses(latents, embed, tokens, weights)
        order = torch.randperm(CLIPS * TOKENS, generator=generator).tolist()
        embed, cluster_size, n_dead = update(latents, tokens, embed, cluster_size, order)
        replaced.append(n_dead)
        assert (cluster_size - DEAD_BELOW).abs().min() > 1e-5, "choose other cluster sizes"
        values = {"latents": latents, "weights": weights, "rows": torch.tensor(order[:n_dead]), "tokens": tokens, "codes": codes,
                  "commitment": commitment, "gradient": gradient, "embed": embed, "cluster_size": cluster_size}
        stored |= {f"{step}/{name}": value for name, value in values.items()}
    print("dead codes by step:", replaced)
    assert len(set(replaced)) > 1 and 0 < min(replaced) and max(replaced) < N_CODES
    single = {name: (value.float() if value.is_floating_point() else value).contiguous() for name, value in stored.items()}
    save_file(single, pathlib.Path(folder) / "vector_quantizer.safetensors")


if __name__ == "__main__":
    main(sys.argv[1])
