"""Steps of torch.optim.AdamW(fused=True), for adamw.rs.

Recipe: python3 golden.py > golden.json, with torch 2.11.0 on the processor.
"""

import json

import torch

STEPS = [
    {"learning_rate": 0.1, "gradient_scale": None},
    {"learning_rate": 0.05, "gradient_scale": None},
    {"learning_rate": 0.02, "gradient_scale": 4.0},
    {"learning_rate": 0.02, "gradient_scale": None},
]
BETAS = (0.9, 0.95)
WEIGHT_DECAY = 0.05
EPSILON = 1e-8
SHAPES = [[3, 5], [37], [1]]

torch.manual_seed(7)
torch.set_num_threads(1)
parameters = [torch.nn.Parameter(torch.randn(shape)) for shape in SHAPES]
start = [parameter.detach().flatten().tolist() for parameter in parameters]
optimizer = torch.optim.AdamW(parameters, betas=BETAS, eps=EPSILON, weight_decay=WEIGHT_DECAY, fused=True)
steps = []
for step in STEPS:
    gradients = [torch.randn(shape) * 10.0 ** torch.randint(-4, 2, shape) for shape in SHAPES]
    for parameter, gradient in zip(parameters, gradients):
        parameter.grad = gradient.clone()
    optimizer.param_groups[0]["lr"] = step["learning_rate"]
    optimizer.grad_scale = None if step["gradient_scale"] is None else torch.tensor(step["gradient_scale"])
    optimizer.found_inf = None
    optimizer.step()
    steps.append(
        step
        | {
            "gradients": [gradient.flatten().tolist() for gradient in gradients],
            "parameters": [parameter.detach().flatten().tolist() for parameter in parameters],
        }
    )
settings = {"betas": BETAS, "weight_decay": WEIGHT_DECAY, "epsilon": EPSILON}
print(json.dumps({"torch": torch.__version__, "shapes": SHAPES, "start": start, "steps": steps} | settings))
