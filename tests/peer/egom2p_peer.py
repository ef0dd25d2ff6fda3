"""EgoM2P in PyTorch with random weights, measured in the rows of `egom2p bench`. Needs torch alone.

    python egom2p_peer.py --device cuda --dtype bf16 [--compile] [--batch N] [--to depth,camera,gaze] [--json]
    python egom2p_peer.py --check GOLDEN_DIR          compares with reference values; needs numpy and safetensors
    python egom2p_peer.py --parameters                names and shapes of all parameters, as JSON

README.md says what is measured and how to read it.
"""
import argparse
import json
import sys

import torch

import check
import decoding
import table
from benchmark import Benchmark
from presets import MODALITIES, PRESETS, STEPS, linear_schedule, n_tokens
from stages import DTYPES, ROWS, Stages, count_parameters


def main():
    parser = argparse.ArgumentParser(description="The PyTorch peer of `egom2p bench`.")
    parser.add_argument("--preset", default="egom2p-base", choices=PRESETS)
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
    parser.add_argument("--dtype", default="fp32", choices=DTYPES,
                        help="fp32 is what the published inference computes in, with TF32 products on a GPU")
    parser.add_argument("--no-tf32", action="store_true", help="fp32 products on a GPU in full precision")
    parser.add_argument("--compile", action="store_true", help="every stage through torch.compile")
    parser.add_argument("--compile-mode", default=None, help="torch.compile's mode, such as max-autotune-no-cudagraphs")
    parser.add_argument("--attention", default="fused", choices=("fused", "published"),
                        help="scaled_dot_product_attention, or product by product as the published code")
    parser.add_argument("--channels-last", action="store_true", help="the video tokenizer in channels_last_3d")
    parser.add_argument("--batch", type=batch, default=1, metavar="N|fill",
                        help="clips at a time, or 1, 2, 4 and so on as long as it pays")
    parser.add_argument("--to", type=modalities, default="depth,camera,gaze", metavar="MODALITIES")
    parser.add_argument("--independent", action="store_true", help="finished targets do not join the condition")
    parser.add_argument("--steps", type=int, metavar="N", help="steps per target [default: as published]")
    parser.add_argument("--guidance", type=float, default=2.0, metavar="W")
    parser.add_argument("--temperature", type=float, default=0.01, metavar="T")
    parser.add_argument("--top-p", type=float, default=0.8, metavar="P")
    parser.add_argument("--seed", type=int, default=0, metavar="N")
    parser.add_argument("--secs", type=float, default=2, metavar="SECS", help="for the timed runs of each stage")
    parser.add_argument("--clips", type=int, default=3, metavar="N", help="timed batches; 0 leaves clips out")
    parser.add_argument("--stages", type=stage_names, default=(), metavar="STAGES", help="rows [default: all]")
    parser.add_argument("--threads", type=int, metavar="N", help="threads on the processor")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--check", metavar="GOLDEN_DIR", help="compare with reference values instead")
    parser.add_argument("--parameters", action="store_true", help="print names and shapes of parameters instead")
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    if arguments.parameters:
        print(json.dumps(parameters(arguments.preset)))
        return
    if arguments.device == "cuda" and not torch.cuda.is_available():
        sys.exit("error: torch sees no CUDA device\n  help: install torch with CUDA and a driver, or pass --device cpu")
    if arguments.check:
        # Reference values are those of full fp32.
        torch.backends.cudnn.allow_tf32 = False
        sys.exit(check.run(arguments.check, arguments.device, arguments.attention))
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = not arguments.no_tf32
    torch.backends.cudnn.benchmark = True

    config = PRESETS[arguments.preset]
    torch.manual_seed(arguments.seed)
    stages = Stages(config, arguments.device, arguments.dtype, arguments.attention, arguments.compile,
                    arguments.compile_mode, arguments.channels_last)
    targets = [(modality, linear_schedule(n_tokens(config, modality), arguments.steps or STEPS[modality]))
               for modality in arguments.to]
    settings = decoding.Settings(targets, arguments.guidance, arguments.temperature, arguments.top_p, arguments.seed,
                                 "independent" if arguments.independent else "growing")
    progress = lambda what: print(what, file=sys.stderr, flush=True)
    report = Benchmark(stages, arguments).to_json(settings, progress)
    print(json.dumps(report) if arguments.json else table.to_text(report))


def parameters(preset):
    """Counts, and the shape of every parameter and buffer by name, of each network."""
    with torch.device("meta"):
        networks = Stages(PRESETS[preset], "meta").networks()
    return {name: {"count": count_parameters(network),
                   "tensors": {key: list(value.shape) for key, value in network.state_dict().items()}}
            for name, network in networks.items()}


def batch(text):
    if text == "fill":
        return text
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"expected a number of clips or fill, got {text}")
    return int(text)


def modalities(text):
    names = text.split(",")
    unknown = [name for name in names if name not in MODALITIES or name == "rgb"]
    if unknown or len(set(names)) < len(names):
        raise argparse.ArgumentTypeError(f"expected some of depth, camera and gaze, each once, got {text}")
    return names


def stage_names(text):
    names, known = text.split(","), {stage for stage, _ in ROWS}
    if not known.issuperset(names):
        raise argparse.ArgumentTypeError(f"expected some of {', '.join(sorted(known))}, got {text}")
    return names


if __name__ == "__main__":
    main()
