"""EMR Serverless: jobs without a cluster. An application is a door that costs nothing while nobody goes through."""
