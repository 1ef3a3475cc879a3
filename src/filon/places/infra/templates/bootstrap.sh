#!/bin/bash
# Runs on every node before Spark starts; a failure here ends the cluster. Jobs bring their own packages, so little is needed.
set -euo pipefail
release="${1:-unknown}"
# the environment that Spark unpacks has packages, not an interpreter
command -v python3.11 >/dev/null || sudo dnf install -y -q python3.11
# XGBoost needs OpenMP's library, which a minimal image may lack
ldconfig -p | grep -q libgomp.so.1 || sudo dnf install -y -q libgomp
echo "ready for filon on ${release}: $(python3.11 --version), $(nproc) cores, $(free -g | awk '/^Mem:/ {print $2}') GiB"
