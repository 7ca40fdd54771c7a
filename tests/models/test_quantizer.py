"""The product quantiser: codes are means, none stays dead, every process holds the same."""

import subprocess
import sys

import pytest
import torch

from asl.common.errors import AslError
from asl.models.quantizer import Codebook, ProductQuantizer, diversity_loss, perplexity

CENTRES = torch.tensor([[0.0, 0.0], [4.0, 0.0], [0.0, 4.0], [4.0, 4.0]])


def points(count=400, seed=0):
    g = torch.Generator().manual_seed(seed)
    label = torch.randint(len(CENTRES), (count,), generator=g)
    return CENTRES[label] + 0.1 * torch.randn(count, 2, generator=g), label


def learnt(updates=80, seed=0, size=4):
    torch.manual_seed(seed)
    book = Codebook(size, 2)
    for i in range(updates):
        book.update(points(seed=i)[0])
    return book


@pytest.mark.parametrize("seed", range(4))
def test_codes_become_the_means_of_what_falls_to_them(seed):
    book = learnt(seed=seed, size=8)
    nearest = (book.codes[:, None] - CENTRES[None]).norm(dim=-1).min(dim=0).values
    assert nearest.max() < 0.15
    x, label = points(seed=99)
    codes = book(x)
    for code in codes.unique().tolist():  # no code holds two clusters
        assert len(label[codes == code].unique()) == 1


def test_a_code_that_nothing_falls_to_starts_again_where_something_is():
    torch.manual_seed(0)
    book = Codebook(4, 2)
    for i in range(25):
        book.update(points(seed=i)[0])
    book.sums[2] = book.shares[2] * torch.tensor([1e4, 1e4])
    for i in range(400):
        book.update(points(seed=i)[0])
    assert book.codes.abs().max() < 5 and perplexity(book.shares / book.shares.sum()) > 2.5


def test_the_seed_decides_and_a_state_goes_on_where_it_was():
    assert torch.equal(learnt().codes, learnt().codes)
    whole, half = learnt(), learnt(updates=40)
    again = Codebook(4, 2)
    again.load_state_dict(half.state_dict())
    for i in range(40, 80):
        again.update(points(seed=i)[0])
    assert torch.equal(again.codes, whole.codes) and int(again.updates) == 80


def test_mixed_precision_gives_the_same_codes():
    book, x = learnt(), 100 + points(seed=5)[0]
    book.sums += 100 * book.shares[:, None]
    plain, again = book(x), Codebook(4, 2)
    again.load_state_dict(book.state_dict())
    again.update(x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = book(x)
        book.update(x)
    assert torch.equal(mixed, plain) and torch.equal(book.codes, again.codes)


def test_each_codebook_sees_its_own_part_alone():
    torch.manual_seed(0)
    quantizer = ProductQuantizer({"a": 2, "b": 3}, {"a": 4, "b": 5})
    x = torch.randn(6, 7, 5)
    known = torch.ones(6, 7, 2, dtype=torch.bool)
    known[0, :, 1] = False
    quantizer.update(x, known)
    codes = quantizer(x)
    assert codes.shape == (6, 7, 2) and codes[..., 0].max() < 4 and codes[..., 1].max() < 5
    other = x.clone()
    other[..., 2:] += 10
    assert torch.equal(quantizer(other)[..., 0], codes[..., 0])
    before = quantizer.books["b"].sums.clone()
    x[0, :, 2:] = 1e6  # what is not known teaches nothing
    quantizer.update(x, known)
    assert quantizer.books["b"].codes.abs().max() < 100 and not torch.equal(before, quantizer.books["b"].sums)


def test_a_batch_in_which_nothing_is_known_changes_no_code():
    book = learnt()
    before = book.codes.clone()
    book.update(torch.zeros(0, 2))
    assert torch.allclose(book.codes, before, atol=1e-5)


def test_perplexity_and_diversity():
    assert perplexity(torch.full((8,), 1 / 8)) == pytest.approx(8)
    assert perplexity(torch.tensor([1.0, 0.0, 0.0])) == pytest.approx(1)
    even = torch.eye(4).clamp(min=1e-9).log()
    assert diversity_loss(even) == pytest.approx(0, abs=1e-4)  # sure of each, but all alike over the batch
    assert diversity_loss(even[[0, 0, 0, 0]]) == pytest.approx(0.75, abs=1e-4)
    logits = torch.randn(6, 4, requires_grad=True)
    diversity_loss(logits.log_softmax(-1)).backward()
    assert logits.grad.abs().sum() > 0


def test_a_codebook_of_one_code_is_refused():
    with pytest.raises(AslError, match="1 codes"):
        Codebook(1, 3)


RANKS = """
import sys, torch, torch.distributed as dist
from asl.models.quantizer import Codebook
rank, store, out = int(sys.argv[1]), sys.argv[2], sys.argv[3]
dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
torch.manual_seed(rank)  # each process draws its own
book = Codebook(6, 2)
generator = torch.Generator().manual_seed(7)
for step in range(60):
    x = torch.randn(80, 2, generator=generator)
    book.update(x[rank::2])
torch.save(book.state_dict(), f"{out}/{rank}.pt")
dist.destroy_process_group()  # its threads end before the process does, which they else bring down now and then
"""


def test_two_processes_hold_the_same_codes(tmp_path, root):
    where = [str(tmp_path / "store"), str(tmp_path)]
    commands = [[sys.executable, "-c", RANKS, str(rank), *where] for rank in range(2)]
    started = [subprocess.Popen(command, cwd=root) for command in commands]
    assert [process.wait(timeout=300) for process in started] == [0, 0]
    one, other = (torch.load(tmp_path / f"{rank}.pt") for rank in range(2))
    assert [name for name in one if not torch.equal(one[name], other[name])] == []
    assert int(one["updates"]) == 60 and perplexity(one["shares"] / one["shares"].sum()) > 4
