"""Sentences whose words show in their frames: what a network with CTC can learn in seconds."""

from pathlib import Path

import torch

from asl.lang.prepare import write_lang
from tests.tasks.toy import Pipeline, ToyData

WORDS = ["book", "drink", "go", "home"]
SENTENCES = ["book drink", "go home", "drink go book", "home", "go go drink", "book home drink", "home book", "drink"]
FRAMES = 6  # of a word


class SentenceData(ToyData):
    """Each word is some noisy frames about its centre, with noise alone between; batches as of the real data module."""

    def __init__(
        self,
        pipeline: Pipeline,
        data_dir: str = "data",
        train_split: str = "train",
        val_split: str = "val",
        batch_size: int = 4,
        clips: int = 24,
        noise: float = 0.5,
        num_workers: int = 0,
        seed: int = 0,
        overfit: int = 0,
    ) -> None:
        super().__init__(pipeline, data_dir, batch_size, clips, num_workers, seed, overfit)
        self.texts = [SENTENCES[i % len(SENTENCES)] for i in range(clips)]
        generator = torch.Generator().manual_seed(5)
        width = sum(pipeline.feature_parts.values())
        centres = torch.randn(len(WORDS), width, generator=generator)
        self.clips = []
        for text in self.texts:
            silence = torch.zeros(2, width)
            frames = [silence]
            for word in text.split():
                frames += [centres[WORDS.index(word)].expand(FRAMES, -1), silence]
            whole = torch.cat(frames)
            self.clips.append(whole + noise * torch.randn(whole.shape, generator=generator))

    def batch(self, rows):
        clips, texts = [self.clips[row] for row in rows], [self.texts[row] for row in rows]
        tokens = [[WORDS.index(word) + 1 for word in text.split()] for text in texts]
        return {
            "ids": [f"clip{row}" for row in rows],
            "texts": texts,
            "features": torch.nn.utils.rnn.pad_sequence(clips, batch_first=True),
            "feature_lengths": torch.tensor([len(clip) for clip in clips]),
            "tokens": torch.tensor(sum(tokens, [])),
            "token_lengths": torch.tensor([len(one) for one in tokens]),
        }


CTC = """
seed: 3
task:
  class_path: CtcTask
  init_args:
    encoder: {class_path: BiLstm, init_args: {hidden: 16, layers: 1, part_dim: 8, dropout: 0.1}}
    dropout: 0.1
    classifier: cosine
    label_smoothing: 0.05
    optimizer: {lr: 1e-2, warmup_steps: 2}
data:
  pipeline: {layout: toy}
trainer: {max_epochs: 8, accelerator: cpu, threads: 1}
"""


def make_sentences(folder: Path) -> None:
    """Write data/lang and ctc.yaml into ``folder``."""
    write_lang(WORDS, folder / "data" / "lang")
    (folder / "ctc.yaml").write_text(CTC)
