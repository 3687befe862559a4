"""What dltdoctor costs, beside what the programs cost that people would use instead: python -m benchmarks."""
