"""AWS EMR: clusters that run our command line on Spark."""
