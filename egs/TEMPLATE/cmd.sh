# Words to put before the commands that take long, on a cluster; empty: they run here.
# For slurm, for example: train_cmd="srun --gres=gpu:1 --cpus-per-task=4"
# shellcheck shell=bash disable=SC2034  # run.sh reads them
import_cmd=""
train_cmd=""
decode_cmd=""
