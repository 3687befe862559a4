"""dltdoctor finds out where the rows of a dlt pipeline went, and why."""

__version__ = "0.1.0"
