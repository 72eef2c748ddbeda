#!/bin/bash
# seekserve's tier enterprise, started by hand.
# Rendered, not written: change what it was made from, then do this again:
#   seekserve render slurm --tier enterprise -o deploy/slurm/enterprise
# What the planner promises, by what the machine has (the server looks when it starts):
#   2 x NVIDIA A100-SXM4-40GB: r1-distill-qwen-32b in fp8, TP 2, 130,048 tokens of context; up to 256 at once, 1.1 of that length
#   1 x NVIDIA A100-SXM4-80GB: r1-distill-qwen-32b in fp8, 131,072 tokens of context; up to 256 at once, 1.2 of that length
#   2 x NVIDIA A100 80GB PCIe: r1-distill-llama-70b in fp8, TP 2, 131,072 tokens of context; up to 256 at once, 1.8 of that length
#   4 x NVIDIA A100-SXM4-80GB: r1-distill-llama-70b in bf16, TP 4, 131,072 tokens of context; up to 256 at once, 3.7 of that length
#   4 x NVIDIA GeForce RTX 3090: r1-distill-qwen-32b in bf16, TP 4, 65,536 tokens of context; up to 64 at once, 1.1 of that length
#   4 x NVIDIA GeForce RTX 4090: r1-distill-qwen-32b in fp8, TP 4, 131,072 tokens of context; up to 256 at once, 1.3 of that length
#   2 x NVIDIA GeForce RTX 5090: r1-distill-qwen-32b in fp8, TP 2, 74,752 tokens of context; up to 256 at once, 1.1 of that length
#   2 x NVIDIA RTX A6000: r1-distill-llama-70b in fp8, TP 2, 39,936 tokens of context; up to 256 at once, 1.1 of that length
#   2 x NVIDIA RTX 6000 Ada Generation: r1-distill-llama-70b in fp8, TP 2, 38,912 tokens of context; up to 256 at once, 1.1 of that length
#   1 x NVIDIA RTX PRO 6000 Blackwell Server Edition: r1-distill-llama-70b in fp8, 45,056 tokens of context; up to 1,024 at once, 1.1 of that length
#   4 x NVIDIA RTX PRO 6000 Blackwell Server Edition: deepseek-v4-flash-0731 in fp4fp8, TP 4, 1,048,576 tokens of context; up to 1,024 at once, 3.9 of that length
#   2 x NVIDIA A40: r1-distill-qwen-32b in fp8, TP 2, 131,072 tokens of context; up to 256 at once, 1.4 of that length
#   4 x NVIDIA L40S: r1-distill-llama-70b in bf16, TP 4, 68,608 tokens of context; up to 64 at once, 1.1 of that length
#   4 x NVIDIA L20: r1-distill-llama-70b in bf16, TP 4, 68,608 tokens of context; up to 64 at once, 1.1 of that length
#   1 x NVIDIA H100 80GB HBM3: r1-distill-qwen-32b in fp8, 131,072 tokens of context; up to 1,024 at once, 1.2 of that length
#   4 x NVIDIA H100 80GB HBM3: deepseek-v4-flash-0731 in fp4fp8, TP 4, 1,048,576 tokens of context; up to 1,024 at once, 2.3 of that length
#   2 x NVIDIA H200: deepseek-v4-flash-0731 in fp4fp8, TP 2, 1,048,576 tokens of context; up to 1,024 at once, 4.2 of that length
#   4 x NVIDIA H20: deepseek-v4-flash-0731 in fp4fp8, TP 4, 1,048,576 tokens of context; up to 1,024 at once, 3.9 of that length
#   1 x NVIDIA GH200 144G HBM3e: r1-distill-llama-70b in fp8, 131,072 tokens of context; up to 1,024 at once, 1.5 of that length
#   1 x NVIDIA B200: r1-distill-llama-70b in bf16, 77,824 tokens of context; up to 1,024 at once, 1.1 of that length
#
# The folder SEEKSERVE_SECRETS, which all nodes see and you alone can read, holds api_key, ops_token and, with
# several nodes, node_token:
#   mkdir -m 700 -p ~/seekserve-secrets && cd ~/seekserve-secrets
#   (umask 077; for name in api_key ops_token node_token; do openssl rand -hex 32 > $name; done)
#   export SEEKSERVE_SECRETS=$PWD
#
set -euo pipefail
secrets=${SEEKSERVE_SECRETS:?a folder with files of secrets: the heading says which}
export SEEKSERVE_API_KEY_FILE="$secrets/api_key"
export SEEKSERVE_OPS_TOKEN_FILE="$secrets/ops_token"
exec seekserve serve --tier enterprise --host "${SEEKSERVE_HOST:-127.0.0.1}" --port "${SEEKSERVE_PORT:-8000}" --ops 127.0.0.1:9464
