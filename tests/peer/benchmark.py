"""What stages and whole clips take, in the rows and fields of `egom2p bench --json`."""
import platform
import statistics
import time

import torch

import costs
import decoding
from presets import MODALITIES, is_video, n_tokens, padded_frames, token_grid, vocabulary
from stages import ROWS, count_parameters

MIN_RUNS, MAX_RUNS = 3, 1000
SHORT_SECS, SHORT_WARM_UP_RUNS = 1.0, 3
REPEAT_RULE = ("2 runs for compilation where stages are compiled; then 1 warm-up run, 3 where the first is below 1 s; "
               "then timed runs until the time is over, at least 3 and at most 1000, the device idle before and after "
               "each; p95 is the nearest rank: the smallest time that at least 95 % of the runs do not exceed")
CLIPS_RULE = ("1 warm-up batch of clips (2 more for compilation where stages are compiled), then the timed ones, one "
              "after another, the device idle before and after each; inputs begin and predictions end in host memory")
FILLING_RULE = ("batches of 1, 2, 4, ... clips until the memory ends or torch refuses, or a doubled batch gives less "
                "than 5 % more clips per second; the batch that fills the card is the one of most clips per second")
LEAST_GAIN, MAX_BATCH = 1.05, 1024
N_PRODUCTS, N_ADDITIONS = 4, 8


class Latency:
    """What several runs of one thing took."""

    def __init__(self, warm_up_runs, secs):
        self.warm_up_runs, self.secs = warm_up_runs, sorted(secs)

    def median(self):
        return statistics.median(self.secs)

    def p95(self):
        return self.secs[-(-len(self.secs) * 95 // 100) - 1]

    def to_json(self):
        return {"warm_up_runs": self.warm_up_runs, "runs": len(self.secs), "median_secs": self.median(),
                "p95_secs": self.p95(), "min_secs": self.secs[0]}


class Benchmark:
    """arguments: those of the command line."""

    def __init__(self, stages, arguments):
        self.stages, self.config, self.arguments = stages, stages.config, arguments
        self.generator = torch.Generator().manual_seed(arguments.seed)
        self.backend = "pytorch-compile" if arguments.compile else "pytorch-eager"
        self.batch = 1 if arguments.batch == "fill" else arguments.batch

    # ---- Runs

    def timed(self, run):
        self.stages.synchronize()
        begin = time.perf_counter()
        run()
        self.stages.synchronize()
        return time.perf_counter() - begin

    def measure(self, run, budget):
        """By REPEAT_RULE, compilation excluded."""
        n_warm_up = SHORT_WARM_UP_RUNS if self.timed(run) < SHORT_SECS else 1
        for _ in range(1, n_warm_up):
            self.timed(run)
        begin, secs = time.perf_counter(), []
        while len(secs) < MIN_RUNS or len(secs) < MAX_RUNS and time.perf_counter() - begin < budget:
            secs.append(self.timed(run))
        return Latency(n_warm_up, secs)

    # ---- Inputs

    def below(self, limit, *shape):
        return torch.randint(limit, shape, generator=self.generator)

    def uniform(self, *shape):
        return torch.rand(shape, generator=self.generator) * 2 - 1

    def tokens(self, modality, batch):
        return self.below(vocabulary(self.config, modality), batch, n_tokens(self.config, modality))

    def frames(self, batch):
        video = self.config["video"]
        frames = self.below(256, batch, video["frames"], video["height"], video["width"], 3).to(torch.uint8)
        return frames.pin_memory() if self.stages.device.type == "cuda" else frames

    def stage_inputs(self, stage, variant):
        """Dimensions of a row, its tokens, and its inputs on the device."""
        config, batch, device = self.config, self.batch, self.stages.device
        n_video = n_tokens(config, "rgb")
        n_queries = -(-n_video // 3)
        (t, h, w), video = token_grid(config), config["video"]
        dims, n_rows = {"batch": batch}, n_video
        if stage == "video_encoder":
            dims |= {"frames": padded_frames(config), "height": video["height"], "width": video["width"]}
            inputs = [self.stages.video_input(self.uniform(batch, 3, *list(dims.values())[1:]).to(device))]
        elif stage == "video_decoder":
            dims |= {"t": t, "h": h, "w": w}
            inputs = [self.tokens("rgb", batch).unflatten(1, (t, h, w))]
        elif stage in ("camera_encoder", "gaze_encoder"):
            clip = self.uniform(batch, config["motion"]["samples"], 9 if stage == "camera_encoder" else 3)
            if stage == "gaze_encoder":
                clip[..., 2] = 1
            inputs, n_rows = [clip], n_tokens(config, "camera")
        elif stage in ("camera_decoder", "gaze_decoder"):
            inputs, n_rows = [self.tokens(stage.split("_")[0], batch)], n_tokens(config, "camera")
        elif stage == "encoder":
            dims |= {"visible": n_video}
            state = decoding.State(config, {"rgb": self.tokens("rgb", batch).to(device)},
                                   [name for name in MODALITIES if name != "rgb"], device)
            inputs = [state.ids, state.visible, n_video]
            if variant == "masked":
                inputs.append(torch.ones(batch, n_video, dtype=torch.bool))
        else:
            dims |= {"queries": n_queries}
            n_rows = n_queries
            if stage == "decoder":
                positions = torch.stack([torch.randperm(n_video, generator=self.generator)[:n_queries]] * batch)
                inputs = ["depth", positions]
                if variant != "contextless":
                    dims |= {"visible": n_video}
                    inputs.append(self.uniform(batch, n_video, config["dim"]))
                if variant == "masked":
                    inputs.append(torch.ones(batch, n_video, dtype=torch.bool))
                    inputs.append(torch.ones(batch, n_queries, n_queries, dtype=torch.bool))
            else:
                inputs = [self.uniform(batch, n_queries, config["dim"])]
        inputs = [value.to(device) if isinstance(value, torch.Tensor) else value for value in inputs]
        return dims, n_rows * batch, inputs

    # ---- Rows

    def ceilings(self):
        """The best of products of square matrices and of additions to a large tensor, in the dtype of the stages."""
        device, dtype = self.stages.device, self.stages.dtype
        size, n_bytes = (8192, 1 << 30) if device.type == "cuda" else (1024, 128 << 20)
        left = torch.full((size, size), 1 / size, device=device, dtype=dtype)
        right = torch.rand(size, size, device=device, dtype=dtype)
        memory = torch.zeros(n_bytes // dtype.itemsize, device=device, dtype=dtype)
        with torch.inference_mode():
            matrix = self.measure(lambda: [left @ right for _ in range(N_PRODUCTS)], self.arguments.secs)
            additions = self.measure(lambda: [memory.add_(1) for _ in range(N_ADDITIONS)], self.arguments.secs)
        return {
            "backend": self.backend, "precision": self.arguments.dtype,
            "matrix_flops_per_sec": 2 * size**3 * N_PRODUCTS / matrix.secs[0],
            "memory_bytes_per_sec": 2 * n_bytes * N_ADDITIONS / additions.secs[0],
            "matrix": matrix.to_json(), "memory": additions.to_json(),
            "rule": f"the best run of {N_PRODUCTS} products of {size} x {size} matrices, and of {N_ADDITIONS} "
                    f"additions to a tensor of {n_bytes >> 20} MiB, which read and write it once each; in the dtype of "
                    "the stages",
        }

    def engine(self, stage, variant, ceilings):
        dims, n_rows, inputs = self.stage_inputs(stage, variant)

        def run():
            with self.stages.inference():
                self.stages.run(stage, *inputs, variant=variant)

        compile_secs = sum(self.timed(run) for _ in range(2)) if self.arguments.compile else 0.0
        latency = self.measure(run, self.arguments.secs)
        cost = costs.stage_cost(self.config, stage, variant, dims, self.stages.dtype.itemsize)
        matrix = cost.flops / ceilings["matrix_flops_per_sec"]
        memory = cost.bytes / ceilings["memory_bytes_per_sec"]
        return {
            "stage": stage, "variant": variant, "backend": self.backend, "device": self.arguments.device,
            "precision": self.arguments.dtype, "dims": dims, "load_secs": compile_secs, "tokens": n_rows,
            "tokens_per_sec": n_rows / latency.median(), "flops": cost.flops, "bytes": cost.bytes,
            "bound": "matrix" if matrix >= memory else "memory",
            "share_of_ceiling": max(matrix, memory) / latency.median(), "with_transfers": None,
            **latency.to_json(),
        }

    def clips(self, scope, settings, batch):
        """Whole clips, `batch` at a time: to "predictions" from frames, to "tokens" from tokens."""
        stages = self.stages
        frames, tokens, grid = self.frames(batch), self.tokens("rgb", batch), token_grid(self.config)
        parts = {"tokenize": [], "generate": [], "detokenize": []}

        def part(name, run):
            begin = time.perf_counter()
            result = run()
            stages.synchronize()
            parts[name].append(time.perf_counter() - begin)
            return result

        def predict():
            with stages.inference():
                rgb = part("tokenize", lambda: stages.tokenize_video(frames))
                made = part("generate", lambda: decoding.generate(stages, {"rgb": rgb}, settings))
                part("detokenize", lambda: [stages.detokenize(name, own, grid) for name, own in made.items()])

        def generate():
            made = part("generate", lambda: decoding.generate(stages, {"rgb": tokens.to(stages.device)}, settings))
            for own in made.values():
                own.cpu()

        run = predict if scope == "predictions" else generate
        compile_secs = sum(self.timed(run) for _ in range(2)) if self.arguments.compile else 0.0
        self.timed(run)
        for own in parts.values():
            own.clear()
        stages.timings = {}
        latency = Latency(1, [self.timed(run) for _ in range(self.arguments.clips)])
        engines = {name: {"calls": calls, "secs": secs, "load_secs": 0.0}
                   for name, (calls, secs) in stages.take_timings().items()}
        sampling = engines.pop("sampling")["secs"] / self.arguments.clips
        mean = {name: statistics.mean(own) if own else 0.0 for name, own in parts.items()}
        n_decoded = sum(sum(counts) for _, counts in settings.targets) * batch
        return {
            "clips_per_sec": batch / latency.median(), "batch": batch, "tokens": n_decoded,
            "tokens_per_sec": n_decoded / latency.median(),
            "mean_secs": {**mean, "sampling": sampling, "load": 0.0}, "compile_secs": compile_secs,
            "engines": engines, **latency.to_json(),
        }

    def filling(self, scope, settings, first, progress):
        """Batches of growing size by FILLING_RULE, from what the first took."""
        measured, end = [first], "no larger batch is tried"
        while measured[-1]["batch"] < MAX_BATCH:
            batch = 2 * measured[-1]["batch"]
            progress(f"clips to {scope}, {batch} at a time")
            try:
                measured.append(self.clips(scope, settings, batch))
            except torch.cuda.OutOfMemoryError:
                end = "the device has no memory for more clips"
                break
            except RuntimeError as error:
                end = f"torch refuses: {str(error).splitlines()[0]}"
                break
            if measured[-1]["clips_per_sec"] < measured[-2]["clips_per_sec"] * LEAST_GAIN:
                end = "twice as many clips gave less than 5 % more clips per second"
                break
        if self.stages.device.type == "cuda":
            torch.cuda.empty_cache()
        best = max(measured, key=lambda clips: clips["clips_per_sec"])
        return {"clips": scope, "batch": best["batch"], "end": end, "measured": measured}

    def to_json(self, settings, progress):
        """Everything, in seconds, bytes and operations."""
        arguments, cuda = self.arguments, self.stages.device.type == "cuda"
        progress("ceilings")
        ceilings = self.ceilings()
        # What the ceilings took is not the model's.
        if cuda:
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        clips, fillings = {}, []
        for scope in ("predictions", "tokens"):
            if arguments.clips:
                progress(f"clips to {scope}")
                clips[scope] = self.clips(scope, settings, self.batch)
                if arguments.batch == "fill":
                    fillings.append(self.filling(scope, settings, clips[scope], progress))
            else:
                clips[scope] = {"left_out": "no clips were asked for"}
        engines = []
        for stage, variant in ROWS:
            if not arguments.stages or stage in arguments.stages:
                progress(f"{stage}.{variant}")
                engines.append(self.engine(stage, variant, ceilings))
        versions = {"torch": torch.__version__, "python": platform.python_version(), "cuda": torch.version.cuda,
                    "cudnn": torch.backends.cudnn.version()}
        rule = ceilings.pop("rule")
        return {
            "schema": 1,
            "versions": {"libraries": versions},
            "device": torch.cuda.get_device_name() if cuda else platform.processor() or platform.machine(),
            "bundle": {"preset": arguments.preset},
            "parameters": {name: count_parameters(network) for name, network in self.stages.networks().items()},
            "settings": {
                "secs": arguments.secs, "clips": arguments.clips, "batch": arguments.batch,
                "sessions": {"threads": torch.get_num_threads(), "dtype": arguments.dtype, "compile": arguments.compile,
                             "compile_mode": arguments.compile_mode, "attention": arguments.attention,
                             "tf32": cuda and torch.backends.cuda.matmul.allow_tf32,
                             "channels_last": self.stages.channels_last,
                             "cudnn_benchmark": torch.backends.cudnn.benchmark},
                "generation": {"seed": settings.seed, "chaining": settings.chaining, "targets": [
                    {"modality": modality, "steps": len(counts), "guidance": settings.guidance,
                     "temperature": settings.temperature, "top_p": settings.top_p, "top_k": 0}
                    for modality, counts in settings.targets]},
            },
            "rules": {"engines": REPEAT_RULE, "clips": CLIPS_RULE, "filling": FILLING_RULE, "ceilings": rule},
            "ceilings": ceilings,
            "engines": engines,
            "clips": clips,
            "fillings": fillings,
            "memory": {
                "host_peak_bytes": host_peak_bytes(),
                "device_peak_bytes": torch.cuda.max_memory_reserved() if cuda else None,
                "device_allocated_peak_bytes": torch.cuda.max_memory_allocated() if cuda else None,
            },
        }


def host_peak_bytes():
    """The largest memory that this process has had so far, where the system tells it."""
    try:
        lines = open("/proc/self/status", encoding="utf-8").read().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), None)
