"""The benchmark suite behind `./scripts/bench`: workloads as data, one peer a file, one core."""
