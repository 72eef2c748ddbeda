#!/bin/bash
# A node of seekserve's tier flagship, started by hand: told what to run by the head.
# Rendered, not written: change what it was made from, then do this again:
#   seekserve render slurm --tier flagship --gpu a100-80g:8 --nodes 2 -o deploy/slurm/flagship
# What the planner promises:
#   2 nodes of 8 x NVIDIA A100-SXM4-80GB: deepseek-v3.1-terminus in fp8, TP 8 x PP 2, 163,840 tokens of context; up to 256 at once, 5.3 of that length
#
# The folder SEEKSERVE_SECRETS, which all nodes see and you alone can read, holds api_key, ops_token and, with
# several nodes, node_token:
#   mkdir -m 700 -p ~/seekserve-secrets && cd ~/seekserve-secrets
#   (umask 077; for name in api_key ops_token node_token; do openssl rand -hex 32 > $name; done)
#   export SEEKSERVE_SECRETS=$PWD
#
set -euo pipefail
secrets=${SEEKSERVE_SECRETS:?a folder with files of secrets: the heading says which}
address=${HEAD_ADDRESS:?the address of the head on the private network of the nodes}
export SEEKSERVE_NODE_TOKEN_FILE="$secrets/node_token"
exec seekserve join "$address"
