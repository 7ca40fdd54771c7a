"""What is learnt: one LightningModule a task, the trainer that they share, the experiment folder."""
