"""SVG charts of the benchmarks."""
