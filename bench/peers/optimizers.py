"""AdamW, and the two that keep its moments in a smaller space: GaLore and APOLLO. Moments in any dtype."""

import torch

BETAS = (0.9, 0.999)


def adam_direction(gradient, exp_avg, exp_avg_sq, step, epsilon):
    """Updates both moments in place; the bias-corrected direction in the gradient's dtype."""
    first, second = (1 - beta**step for beta in BETAS)
    g = gradient.float()
    exp_avg.copy_(torch.lerp(exp_avg.float(), g, 1 - BETAS[0]))
    exp_avg_sq.copy_(torch.lerp(exp_avg_sq.float(), g * g, 1 - BETAS[1]))
    return (exp_avg.float() / first / ((exp_avg_sq.float() / second).sqrt() + epsilon)).to(gradient.dtype)


def step_number(count):
    """As a tensor: a number would be compiled in, anew for each step."""
    return torch.tensor(count, dtype=torch.float32)


def moments_like(gradient, dtype):
    return tuple(torch.zeros_like(gradient, dtype=dtype) for _ in range(2))


class AdamW:
    """torch.optim.AdamW where moments have the dtype of the weights, which is all that it knows."""

    def __init__(self, parameters, states, learning_rate, direction=adam_direction):
        self.parameters = list(parameters)
        self.states, self.learning_rate, self.direction = states, learning_rate, direction
        self.moments, self.count = {}, 0
        self.fused = None
        if all(parameter.dtype == states for parameter in self.parameters):
            self.fused = torch.optim.AdamW(self.parameters, lr=learning_rate, betas=BETAS, weight_decay=0.0, fused=True)

    @torch.no_grad()
    def step(self):
        self.count += 1
        if self.fused is not None:
            self.fused.step()
            return
        for parameter in self.parameters:
            self.update(parameter)

    def update(self, parameter):
        if parameter not in self.moments:
            self.moments[parameter] = moments_like(parameter, self.states)
        step = step_number(self.count)
        direction = self.direction(parameter.grad, *self.moments[parameter], step, 1e-8)
        parameter.sub_(direction, alpha=self.learning_rate)


class LowRank:
    """Adam's moments of each matrix in a space of `rank`; subclasses say how to get there and back."""

    scale = 0.25

    def __init__(self, matrices, others, states, learning_rate, rank_ratio, direction=adam_direction, layer_wise=False):
        self.matrices, self.states, self.learning_rate, self.direction = list(matrices), states, learning_rate, direction
        self.rank_ratio, self.layer_wise = rank_ratio, layer_wise
        self.others = AdamW(others, states, learning_rate, direction)
        self.moments, self.bases, self.count = {}, {}, 0
        self.must_refresh = False
        if layer_wise:
            for matrix in self.matrices:
                matrix.register_post_accumulate_grad_hook(self.update)

    def rank(self, matrix):
        return max(1, int(min(matrix.shape) * self.rank_ratio))

    @torch.no_grad()
    def update(self, matrix):
        """Before the first update, and when asked to, a new basis."""
        if matrix not in self.bases or self.must_refresh:
            self.bases[matrix] = self.new_basis(matrix)
        compressed = self.compress(matrix)
        if matrix not in self.moments:
            self.moments[matrix] = moments_like(compressed, self.states)
        step = step_number(self.count + (1 if self.layer_wise else 0))
        direction = self.direction(compressed, *self.moments[matrix], step, 1e-6)
        self.apply(matrix, compressed, direction)
        if self.layer_wise:
            matrix.grad = None

    @torch.no_grad()
    def step(self):
        self.count += 1
        if not self.layer_wise:
            for matrix in self.matrices:
                self.update(matrix)
        self.others.step()


class GaLore(LowRank):
    """Basis: singular vectors of the gradient, on its shorter side (arXiv 2403.03507)."""

    def new_basis(self, matrix):
        left, _, right = torch.linalg.svd(matrix.grad.float(), full_matrices=False)
        rank = self.rank(matrix)
        basis = left[:, :rank] if matrix.shape[0] < matrix.shape[1] else right[:rank].T
        return basis.to(matrix.dtype).contiguous()

    def compress(self, matrix):
        basis = self.bases[matrix]
        return basis.T @ matrix.grad if matrix.shape[0] < matrix.shape[1] else matrix.grad @ basis

    def apply(self, matrix, _, direction):
        basis, alpha = self.bases[matrix], -self.learning_rate * self.scale
        if matrix.shape[0] < matrix.shape[1]:
            matrix.addmm_(basis, direction, alpha=alpha)
        else:
            matrix.addmm_(direction, basis.T, alpha=alpha)


class Apollo(LowRank):
    """A random basis; the gradient itself, scaled by what Adam does in the small space: per column, or with rank 1 as
    a whole (arXiv 2412.05270)."""

    def new_basis(self, matrix):
        rank = self.rank(matrix)
        return torch.randn(rank, matrix.shape[0], dtype=matrix.dtype, device=matrix.device) / rank**0.5

    def compress(self, matrix):
        return self.bases[matrix] @ matrix.grad

    def apply(self, matrix, compressed, direction):
        over = {} if self.rank(matrix) == 1 else {"dim": 0}
        factor = direction.float().norm(**over) / (compressed.float().norm(**over) + 1e-8)
        matrix.addcmul_(matrix.grad, factor.to(matrix.dtype), value=-self.learning_rate)
