"""The stages of the model on one device, by the names of `egom2p bench`, each eager or through torch.compile."""
import contextlib
import time

import torch
from torch import nn

from motion_tokenizer import MotionTokenizer
from presets import KEYS, MODALITIES, is_video
from transformer import EgoM2P
from video_tokenizer import VideoTokenizer

DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
# Names of rows, in the order of the data's way.
ROWS = [("video_encoder", "default"), ("video_decoder", "default")]
ROWS += [(f"{modality}_{side}", "default") for modality in ("camera", "gaze") for side in ("encoder", "decoder")]
ROWS += [("encoder", "masked"), ("encoder", "unmasked")]
ROWS += [("decoder", "masked"), ("decoder", "unmasked"), ("decoder", "contextless")]
ROWS += [(f"head_{modality}", "default") for modality in MODALITIES]


class Stages:
    """Modules with random weights, and what calls of them took while `timings` is not None.

    fp16 and bf16: torch.autocast around the transformers, whose matrices are stored in the dtype, so that nothing is
    cast twice (the values are those of autocast on fp32 weights); the video tokenizer is wholly in the dtype, as
    published. fp32: as stored; whether products may be TF32 is the caller's.
    """

    def __init__(self, config, device, dtype="fp32", attention="fused", compiled=False, compile_mode=None,
                 channels_last=False):
        self.config, self.device, self.dtype = config, torch.device(device), DTYPES[dtype]
        self.timings = None
        with self.device:
            self.model = EgoM2P(config, attention)
            self.motion = {name: MotionTokenizer(config, name, attention) for name in ("camera", "gaze")}
            self.video = VideoTokenizer(config, attention)
        for network in self.networks().values():
            network.eval()
        if self.dtype != torch.float32:
            for network in (self.model, *self.motion.values()):
                store_products(network, self.dtype)
            self.video.to(self.dtype)
        if channels_last:
            self.video.to(memory_format=torch.channels_last_3d)
        self.channels_last = channels_last
        self.functions = self._functions()
        if compiled:
            # Lengths of the transformer change from step to step, those of the tokenizers never do.
            for (stage, variant), function in self.functions.items():
                dynamic = stage in ("encoder", "decoder") or stage.startswith("head_")
                self.functions[stage, variant] = torch.compile(function, dynamic=dynamic, mode=compile_mode)

    def networks(self):
        return {"model": self.model, **self.motion, "video": self.video}

    def _functions(self):
        model = self.model

        def encoder(ids, visible, n_visible):
            return model.encode(*model.gather_visible(ids, visible, n_visible))

        def encoder_masked(ids, visible, n_visible, mask):
            return model.encode(*model.gather_visible(ids, visible, n_visible), mask)

        def decoder(modality, positions, context):
            return model.decode(model.queries(modality, positions), context)

        def decoder_masked(modality, positions, context, visible_mask, query_mask):
            return model.decode(model.queries(modality, positions), context, visible_mask, query_mask)

        def decoder_contextless(modality, positions):
            return model.decode(model.queries(modality, positions))

        functions = {
            ("encoder", "unmasked"): encoder, ("encoder", "masked"): encoder_masked,
            ("decoder", "unmasked"): decoder, ("decoder", "masked"): decoder_masked,
            ("decoder", "contextless"): decoder_contextless,
            ("video_encoder", "default"): self.video.encode, ("video_decoder", "default"): self.video.decode,
        }
        for name, tokenizer in self.motion.items():
            functions[f"{name}_encoder", "default"] = tokenizer.encode
            functions[f"{name}_decoder", "default"] = tokenizer.decode
        for modality in MODALITIES:
            functions[f"head_{modality}", "default"] = model.decoder_embeddings[KEYS[modality]].to_logits
        return {row: functions[row] for row in ROWS}

    @contextlib.contextmanager
    def inference(self):
        """What every call stands in."""
        half = self.dtype != torch.float32
        with torch.inference_mode(), torch.autocast(self.device.type, self.dtype, enabled=half):
            yield

    def run(self, stage, *inputs, variant="default"):
        with self.timed(f"{stage}.{variant}"):
            return self.functions[stage, variant](*inputs)

    @contextlib.contextmanager
    def timed(self, name):
        """Counts what is inside under a name; on a GPU by events, which the work does not wait for."""
        if self.timings is None:
            yield
        elif self.device.type == "cuda":
            begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            begin.record()
            yield
            end.record()
            self.timings.setdefault(name, []).append((begin, end))
        else:
            begin = time.perf_counter()
            yield
            self.timings.setdefault(name, []).append((begin, time.perf_counter()))

    def take_timings(self):
        """Calls and seconds by name since `timings` was set; waits for the device."""
        self.synchronize()
        cuda = self.device.type == "cuda"
        secs = lambda begin, end: begin.elapsed_time(end) / 1e3 if cuda else end - begin
        taken = {name: (len(spans), sum(secs(*span) for span in spans)) for name, spans in self.timings.items()}
        self.timings = None
        return taken

    def synchronize(self):
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def video_input(self, video):
        return video.to(memory_format=torch.channels_last_3d) if self.channels_last else video

    def tokenize_video(self, frames):
        """Tokens [batch, positions] of frames u8 [batch, frames, height, width, 3] on the host."""
        video = frames.to(self.device, non_blocking=True).permute(0, 4, 1, 2, 3).float() / 255 * 2 - 1
        # The last frame again, until there are 4k + 1.
        n_more = -(video.shape[2] - 1) % 4
        video = torch.cat([video] + [video[:, :, -1:]] * n_more, dim=2)
        return self.run("video_encoder", self.video_input(video)).flatten(1)

    def detokenize(self, modality, tokens, grid):
        """On the host: depth [batch, frames, height, width] in [0, 1], camera or gaze [batch, samples, channels]."""
        if not is_video(modality):
            return self.run(f"{modality}_decoder", tokens).cpu()
        video = self.run("video_decoder", tokens.unflatten(1, grid))[:, :, : self.config["video"]["frames"]]
        pixels = (((video + 1) / 2).clamp(0, 1) * 255 + 0.5).to(torch.uint8)
        return (pixels.float().mean(1) / 255 if modality == "depth" else pixels).cpu()


def store_products(network, dtype):
    """Stores the parameters of products in a dtype; tied tables stay tied."""
    for module in network.modules():
        if isinstance(module, (nn.Linear, nn.Conv1d)):
            for parameter in module.parameters(recurse=False):
                parameter.data = parameter.data.to(dtype)


def count_parameters(network):
    """Every parameter once, whatever shares it."""
    return sum(parameter.numel() for parameter in network.parameters())
