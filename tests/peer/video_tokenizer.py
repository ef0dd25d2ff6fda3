"""The Cosmos DV4x8x8 video tokenizer, with the published parameter names, those that are never used included.

Tensors are [batch, channels, frames, height, width].
"""
import torch
import torch.nn.functional as F
from torch import nn

from transformer import NORM_EPSILON, attend

PATCH = 4


class CausalConv(nn.Module):
    """A convolution whose first frame is repeated in front; zeros around every frame."""

    def __init__(self, inputs, outputs, kernel, stride=1, padding=0):
        super().__init__()
        self.n_repeated = kernel[0] - 1
        self.conv3d = nn.Conv3d(inputs, outputs, kernel, stride=(1, stride, stride), padding=(0, padding, padding))

    def forward(self, x):
        return self.conv3d(torch.cat([x[:, :, :1]] * self.n_repeated + [x], dim=2) if self.n_repeated else x)


def factorised_conv(inputs, outputs):
    return nn.Sequential(CausalConv(inputs, outputs, (1, 3, 3), padding=1), CausalConv(outputs, outputs, (3, 1, 1)))


def pointwise_conv(inputs, outputs):
    return CausalConv(inputs, outputs, (1, 1, 1))


class FrameNorm(nn.Module):
    """One group per frame: statistics over channels, height and width."""

    def __init__(self, channels):
        super().__init__()
        self.norm = nn.GroupNorm(1, channels, NORM_EPSILON)

    def forward(self, x):
        frames = x.transpose(1, 2)
        return self.norm(frames.flatten(0, 1)).unflatten(0, frames.shape[:2]).transpose(1, 2)


class ResidualBlock(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.norm1 = FrameNorm(inputs)
        self.conv1 = factorised_conv(inputs, outputs)
        self.norm2 = FrameNorm(outputs)
        self.conv2 = factorised_conv(outputs, outputs)
        self.nin_shortcut = nn.Identity() if inputs == outputs else pointwise_conv(inputs, outputs)

    def forward(self, x):
        h = self.conv1(F.silu(self.norm1(x)))
        return self.nin_shortcut(x) + self.conv2(F.silu(self.norm2(h)))


class VideoAttention(nn.Module):
    """Single-head attention over the pixels of every frame, or over a pixel and its past."""

    def __init__(self, width, temporal, attention):
        super().__init__()
        self.order, self.causal, self.attention = (0, 3, 4, 2, 1) if temporal else (0, 2, 3, 4, 1), temporal, attention
        self.norm = FrameNorm(width)
        self.q, self.k, self.v, self.proj_out = (pointwise_conv(width, width) for _ in range(4))

    def forward(self, x):
        h = self.norm(x)
        parts = [part(h).permute(self.order) for part in (self.q, self.k, self.v)]
        n_separate = 3 if self.causal else 2
        rows = [part.flatten(0, n_separate - 1).flatten(1, -2) for part in parts]
        h = attend(*rows, 1, attention=self.attention, causal=self.causal).reshape(parts[0].shape)
        return x + self.proj_out(h.permute([self.order.index(axis) for axis in range(5)]))


class Middle(nn.Module):
    def __init__(self, width, attention):
        super().__init__()
        self.block_1 = ResidualBlock(width, width)
        self.attn_1 = nn.Sequential(VideoAttention(width, False, attention), VideoAttention(width, True, attention))
        self.block_2 = ResidualBlock(width, width)

    def forward(self, x):
        return self.block_2(self.attn_1(self.block_1(x)))


class Downsample(nn.Module):
    """Halves height and width; in the second level the identity, whose convolutions exist and are not used."""

    def __init__(self, width, spatial):
        super().__init__()
        self.spatial = spatial
        self.conv1 = CausalConv(width, width, (1, 3, 3), stride=2)
        self.conv2 = CausalConv(width, width, (3, 1, 1))
        self.conv3 = pointwise_conv(width, width)

    def forward(self, x):
        if not self.spatial:
            return x
        x = F.pad(x, (0, 1, 0, 1))
        # The processor has no half-precision form of the pooling.
        rows = x.float() if x.device.type == "cpu" else x
        pooled = F.avg_pool3d(rows, (1, 2, 2), stride=(1, 2, 2)).to(x.dtype)
        return self.conv3(self.conv1(x) + pooled)


class Upsample(nn.Module):
    """Doubles height and width; in the second level the identity, whose convolutions exist and are not used."""

    def __init__(self, width, spatial):
        super().__init__()
        self.spatial = spatial
        self.conv1 = CausalConv(width, width, (3, 1, 1))
        self.conv2 = CausalConv(width, width, (1, 3, 3), padding=1)
        self.conv3 = pointwise_conv(width, width)

    def forward(self, x):
        if not self.spatial:
            return x
        x = x.repeat_interleave(2, dim=3).repeat_interleave(2, dim=4)
        return self.conv3(self.conv2(x) + x)


class Level(nn.Module):
    def __init__(self, inputs, outputs, n_blocks):
        super().__init__()
        self.block = nn.ModuleList(ResidualBlock(outputs if index else inputs, outputs) for index in range(n_blocks))

    def forward(self, x):
        for block in self.block:
            x = block(x)
        return x


class VideoEncoder(nn.Module):
    def __init__(self, tokenizer, attention):
        super().__init__()
        channels = tokenizer["channels"]
        widths = [multiplier * channels for multiplier in tokenizer["channel_multipliers"]]
        self.conv_in = factorised_conv(3 * PATCH**3, channels)
        self.down = nn.ModuleList()
        for inputs, outputs in zip([channels, *widths], widths):
            self.down.append(Level(inputs, outputs, tokenizer["residual_blocks"]))
        for level, spatial in ((0, True), (1, False)):
            self.down[level].downsample = Downsample(widths[level], spatial)
        self.mid = Middle(widths[-1], attention)
        self.norm_out = FrameNorm(widths[-1])
        self.conv_out = factorised_conv(widths[-1], tokenizer["z_channels"])

    def forward(self, video):
        x = torch.cat([video[:, :, :1]] * (PATCH - 1) + [video], dim=2)
        x = self.conv_in(haar_step(haar_step(x)))
        for level in self.down:
            x = level(x)
            if hasattr(level, "downsample"):
                x = level.downsample(x)
        return self.conv_out(F.silu(self.norm_out(self.mid(x))))


class VideoDecoder(nn.Module):
    def __init__(self, tokenizer, attention):
        super().__init__()
        widths = [multiplier * tokenizer["channels"] for multiplier in tokenizer["channel_multipliers"]]
        n_blocks = tokenizer["residual_blocks"] + 1
        self.conv_in = factorised_conv(tokenizer["z_channels"], widths[2])
        self.mid = Middle(widths[2], attention)
        self.up = nn.ModuleList(
            Level(widths[min(level + 1, 2)], widths[level], n_blocks) for level in range(len(widths)))
        for level, spatial in ((1, False), (2, True)):
            self.up[level].upsample = Upsample(widths[level], spatial)
        self.norm_out = FrameNorm(widths[0])
        self.conv_out = factorised_conv(widths[0], 3 * PATCH**3)

    def forward(self, x):
        x = self.mid(self.conv_in(x))
        for level in reversed(self.up):
            x = level(x)
            if hasattr(level, "upsample"):
                x = level.upsample(x)
        x = self.conv_out(F.silu(self.norm_out(x)))
        return inverse_haar_step(inverse_haar_step(x))[:, :, PATCH - 1 :]


class VideoTokenizer(nn.Module):
    """Tokens are the digits of six bounded channels; weights and activations are of one dtype."""

    def __init__(self, config, attention="fused"):
        super().__init__()
        tokenizer = config["video_tokenizer"]
        self.levels = tokenizer["levels"]
        self.encoder = VideoEncoder(tokenizer, attention)
        self.quant_conv = pointwise_conv(tokenizer["z_channels"], len(self.levels))
        self.post_quant_conv = pointwise_conv(len(self.levels), tokenizer["z_channels"])
        self.decoder = VideoDecoder(tokenizer, attention)

    def encode(self, video):
        """Tokens [batch, t, h, w] of video [batch, 3, frames, height, width] in [-1, 1]; frames = 4k + 1."""
        bounded = fsq_bound(self.latent(video), self.levels)
        tokens, basis = 0, 1
        for channel, count in enumerate(self.levels):
            tokens = tokens + (bounded[:, channel].round().long() + count // 2) * basis
            basis *= count
        return tokens

    def latent(self, video):
        with torch.autocast(video.device.type, enabled=False):
            return self.quant_conv(self.encoder(video.to(self.quant_conv.conv3d.weight.dtype))).float()

    def decode(self, tokens):
        """Video [batch, 3, frames, height, width] of tokens [batch, t, h, w]."""
        codes, rest = [], tokens
        for count in self.levels:
            codes.append((rest % count - count // 2) / (count // 2))
            rest = rest // count
        codes = torch.stack(codes, dim=1).to(self.post_quant_conv.conv3d.weight.dtype)
        with torch.autocast(tokens.device.type, enabled=False):
            return self.decoder(self.post_quant_conv(codes)).float()


def haar_step(x):
    """Eight subbands, each with all channels, in the order LLL, LLH, ..., HHH of (time, height, width)."""
    bands = [x]
    for axis in (2, 3, 4):
        halves = []
        for band in bands:
            a, b = band.unflatten(axis, (band.shape[axis] // 2, 2)).unbind(axis + 1)
            halves += [a + b, a - b]
        bands = halves
    return torch.cat(bands, dim=1) / 8


def inverse_haar_step(x):
    bands = list(x.chunk(8, dim=1))
    for axis in (4, 3, 2):
        pairs = zip(bands[::2], bands[1::2])
        bands = [torch.stack([low + high, low - high], axis + 1).flatten(axis, axis + 1) for low, high in pairs]
    return bands[0]


def fsq_bound(latent, levels):
    """The values that are rounded to digits; channels are axis 1."""
    count = torch.tensor(levels, dtype=torch.float32, device=latent.device).reshape(1, -1, 1, 1, 1)
    half = (count - 1) * 1.001 / 2
    offset = torch.where(count % 2 == 0, 0.5, 0.0)
    return torch.tanh(latent + torch.atanh(offset / half)) * half - offset
