"""What dltdoctor costs, beside what people would otherwise use."""
