"""The camera and gaze tokenizers: two vision transformers around a codebook, with the published parameter names."""
import torch
import torch.nn.functional as F
from torch import nn

from presets import CHANNELS
from transformer import NORM_EPSILON, SelfAttention, sincos_1d


class Mlp(nn.Module):
    def __init__(self, dim, hidden, activation):
        super().__init__()
        self.activation = activation
        self.fc1 = nn.Linear(dim, hidden)
        self.fc2 = nn.Linear(hidden, dim)

    def forward(self, x):
        return self.fc2(self.activation(self.fc1(x)))


class Block(nn.Module):
    def __init__(self, tokenizer, attention):
        super().__init__()
        dim = tokenizer["dim"]
        self.norm1 = nn.LayerNorm(dim, NORM_EPSILON)
        self.attn = SelfAttention(dim, tokenizer["heads"], bias=True, attention=attention)
        self.norm2 = nn.LayerNorm(dim, NORM_EPSILON)
        self.mlp = Mlp(dim, tokenizer["mlp_hidden"], F.gelu)

    def forward(self, x):
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class Trunk(nn.Module):
    """Position table, blocks and the last MLP of either side."""

    def __init__(self, tokenizer, n_tokens, attention):
        super().__init__()
        dim = tokenizer["dim"]
        self.position_embeddings = nn.Parameter(sincos_1d(n_tokens, dim), requires_grad=False)
        self.blocks = nn.ModuleList(Block(tokenizer, attention) for _ in range(tokenizer["blocks"]))
        self.norm_mlp = nn.LayerNorm(dim, NORM_EPSILON)
        self.post_mlp = Mlp(dim, tokenizer["mlp_hidden"], torch.tanh)

    def forward(self, x):
        x = x + self.position_embeddings
        for block in self.blocks:
            x = block(x)
        return x + self.post_mlp(self.norm_mlp(x))


class Codebook(nn.Module):
    def __init__(self, codes, dim):
        super().__init__()
        self.register_buffer("initted", torch.ones(1))
        self.register_buffer("cluster_size", torch.zeros(codes))
        self.register_buffer("embed", F.normalize(torch.randn(codes, dim), dim=-1))


class Quantizer(nn.Module):
    def __init__(self, codes, dim):
        super().__init__()
        self._codebook = Codebook(codes, dim)


class MotionTokenizer(nn.Module):
    def __init__(self, config, modality, attention="fused"):
        super().__init__()
        tokenizer, channels = config[f"{modality}_tokenizer"], CHANNELS[modality]
        dim, code_dim, n_tokens = tokenizer["dim"], tokenizer["code_dim"], config["motion"]["samples"] // 2
        self.modality, self.channels = modality, channels
        self.encoder = Trunk(tokenizer, n_tokens, attention)
        self.encoder.conv = nn.Conv1d(channels, dim, 2, stride=2)
        self.quant_proj = nn.Conv1d(dim, code_dim, 1)
        self.quantize = Quantizer(config["motion"]["vocabulary"], code_dim)
        self.decoder = Trunk(tokenizer, n_tokens, attention)
        self.decoder.out_proj = nn.Linear(dim, 2 * channels)
        self.post_quant_proj = nn.Conv1d(code_dim, dim, 1)

    def encode(self, clip):
        """Tokens [batch, samples / 2] of camera [batch, samples, 9] or gaze [batch, samples, 3] with x, y, valid."""
        if self.modality == "gaze":
            clip = clip[..., :2] * clip[..., 2:]
        x = self.encoder(self.encoder.conv(clip.transpose(1, 2)).transpose(1, 2))
        latent = self.quant_proj(x.transpose(1, 2)).transpose(1, 2)
        with torch.autocast(latent.device.type, enabled=False):
            codes = F.normalize(self.quantize._codebook.embed, dim=-1, eps=1e-12)
            return (F.normalize(latent.float(), dim=-1, eps=1e-12) @ codes.T).argmax(-1)

    def decode(self, tokens):
        """Camera [batch, samples, 9] or gaze [batch, samples, 2] of tokens [batch, samples / 2]."""
        codes = self.quantize._codebook.embed[tokens]
        x = self.post_quant_proj(codes.transpose(1, 2)).transpose(1, 2)
        x = self.decoder.out_proj(self.decoder(x))
        return x.unflatten(-1, (self.channels, 2)).transpose(-1, -2).flatten(1, 2).float()
