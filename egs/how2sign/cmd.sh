# Words to put before the commands that take long, on a cluster; empty: they run here.
# For one GPU under Slurm, for example: train_cmd="srun --gres=gpu:1 --cpus-per-task=4"
# shellcheck shell=bash disable=SC2034  # run.sh reads them
import_cmd=""
train_cmd=""
decode_cmd=""

# Training on several machines under Slurm, where this is part of a job such as
#   sbatch --nodes=2 --ntasks-per-node=1 --gres=gpu:4 --cpus-per-task=32 --requeue --wrap "./run.sh --stage 4"
# torchrun starts one process a GPU on each of them, and they share every batch (data.batch_size is the whole one's).
# A job that is killed and queued again goes on from its last checkpoint.
if [ "${SLURM_NNODES:-1}" -gt 1 ]; then
  first_node=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
  train_cmd="srun --ntasks-per-node=1 --kill-on-bad-exit=1"
  train_cmd+=" ${python:-python} -m torch.distributed.run --nnodes=$SLURM_NNODES"
  train_cmd+=" --nproc_per_node=${SLURM_GPUS_ON_NODE:-1} --rdzv_id=$SLURM_JOB_ID --rdzv_backend=c10d"
  train_cmd+=" --rdzv_endpoint=$first_node:29500 --no_python"
fi
