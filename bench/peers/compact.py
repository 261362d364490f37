"""CompAct in PyTorch: a group of linear layers keeps z = x P, and its gradients are z^T dy.

P is drawn anew from a seed in each forward pass and in each update, and never kept.
"""

import torch
from torch import nn

from optimizers import AdamW, adam_direction, step_number

IDENTITY = -1  # a seed: P = I, and training is dense


@torch.library.custom_op("compact_peers::random_matrix", mutates_args=())
def random_matrix(like: torch.Tensor, rows: int, columns: int, seed: int) -> torch.Tensor:
    """(rows, columns) of N(0, 1 / columns) in the dtype of `like`. To a compiler one opaque operation."""
    if seed == IDENTITY:
        return torch.eye(rows, columns, dtype=like.dtype, device=like.device)
    generator = torch.Generator(device=like.device).manual_seed(seed)
    matrix = torch.randn(rows, columns, generator=generator, dtype=like.dtype, device=like.device)
    return matrix.mul_(columns**-0.5)


@random_matrix.register_fake
def _(like, rows, columns, seed):
    return like.new_empty(rows, columns)


class CompactLinears(torch.autograd.Function):
    """x, then weights (m, n), then for each weight the tensor (rank, m) whose gradient is the compressed one."""

    @staticmethod
    def forward(ctx, x, seed, rank, *tensors):
        weights = tensors[: len(tensors) // 2]
        z = x.flatten(0, -2) @ random_matrix(x, x.shape[-1], rank, seed)
        ctx.save_for_backward(z, *weights)
        ctx.dtypes = [receiver.dtype for receiver in tensors[len(weights) :]]
        return tuple(x @ weight.T for weight in weights)

    @staticmethod
    def backward(ctx, *d_outputs):
        z, *weights = ctx.saved_tensors
        d_x = sum(d_y @ weight for d_y, weight in zip(d_outputs, weights))
        compressed = [(z.T @ d_y.flatten(0, -2)).to(dtype) for d_y, dtype in zip(d_outputs, ctx.dtypes)]
        return d_x, None, None, *([None] * len(weights)), *compressed


class CompactGroup(nn.Module):
    """In place of model.LinearGroup. The first moment is what receives the compressed gradient: no tensor exists for
    that alone."""

    def __init__(self, inputs, widths, rank, states, seeds):
        super().__init__()
        self.rank, self.seed = rank, next(seeds)
        self.linears = nn.ModuleList(nn.Linear(inputs, width, bias=False) for width in widths)
        for linear in self.linears:
            linear.weight.requires_grad_(False)
        self.exp_avg = nn.ParameterList(torch.zeros(rank, width, dtype=states) for width in widths)
        self.exp_avg_sq = [torch.zeros_like(moment) for moment in self.exp_avg]

    def forward(self, x):
        weights = [linear.weight for linear in self.linears]
        return CompactLinears.apply(x, self.seed, self.rank, *weights, *self.exp_avg)


class SeparateGroup(nn.Module):
    """Each weight with a P and a z of its own."""

    def __init__(self, inputs, widths, rank, states, seeds):
        super().__init__()
        self.groups = nn.ModuleList(CompactGroup(inputs, [width], rank, states, seeds) for width in widths)

    def forward(self, x):
        return [group(x)[0] for group in self.groups]


class CompactAdamW:
    def __init__(self, model, states, learning_rate, scale, epsilon=1e-6, direction=adam_direction):
        self.groups = [module for module in model.modules() if isinstance(module, CompactGroup)]
        self.learning_rate, self.scale, self.epsilon = learning_rate, scale, epsilon
        self.direction, self.count = direction, 0
        moments = {id(moment) for group in self.groups for moment in group.exp_avg}
        dense = [p for p in model.parameters() if p.requires_grad and id(p) not in moments]
        self.others = AdamW(dense, states, learning_rate, direction)

    @torch.no_grad()
    def step(self):
        self.count += 1
        step = step_number(self.count)
        alpha = -self.learning_rate * self.scale
        for group in self.groups:
            weights = [linear.weight for linear in group.linears]
            projection = random_matrix(weights[0], weights[0].shape[1], group.rank, group.seed)
            for weight, exp_avg, exp_avg_sq in zip(weights, group.exp_avg, group.exp_avg_sq):
                direction = self.direction(exp_avg.grad, exp_avg.data, exp_avg_sq, step, self.epsilon)
                weight.addmm_(direction.to(weight.dtype).T, projection.T, alpha=alpha)
                exp_avg.grad = None
        self.others.step()
