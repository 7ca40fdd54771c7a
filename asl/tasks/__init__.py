"""What is learnt: one LightningModule a task, the one trainer they share, and the experiment folder it leaves."""
