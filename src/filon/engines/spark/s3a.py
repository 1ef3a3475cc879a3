"""What Spark itself writes to and reads from S3: by Hadoop's S3A client, set up from the AWS environment variables."""

import os
from typing import Any

from filon.engines import s3

NUMBERS = {
    "threads.keepalivetime": "60",
    "connection.establish.timeout": "30000",
    "connection.timeout": "200000",
    "connection.request.timeout": "0",
    "connection.ttl": "300000",
    "connection.idle.time": "60000",
    "connection.acquisition.timeout": "60000",
    "multipart.purge.age": "86400",
    "retry.interval": "500",
    "retry.throttle.interval": "100",
    "assumed.role.session.duration": "1800",
    "committer.threads": "4",
}
"""Hadoop 3.4 writes these defaults with units ("60s"), on which an S3A of Hadoop 3.3 fails; both take plain numbers."""

PREFIX = "spark.hadoop.fs.s3a."


def conf() -> dict[str, str]:
    """Spark properties for S3: endpoint, region and keys as the AWS variables say; s3:// means S3A where nothing else serves it."""
    found = {PREFIX + name: value for name, value in NUMBERS.items()}
    found["spark.hadoop.fs.s3.impl"] = "org.apache.hadoop.fs.s3a.S3AFileSystem"
    reach = s3.access()
    if reach.endpoint:
        found[PREFIX + "endpoint"] = reach.endpoint
        found[PREFIX + "path.style.access"] = "true"
        found[PREFIX + "connection.ssl.enabled"] = str(reach.endpoint.startswith("https")).lower()
    if reach.region:
        found[PREFIX + "endpoint.region"] = reach.region
    key, secret, token = (os.environ.get(f"AWS_{name}", "") for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN"))
    if key and secret:
        kind = "Temporary" if token else "Simple"
        found[PREFIX + "access.key"], found[PREFIX + "secret.key"] = key, secret
        found[PREFIX + "aws.credentials.provider"] = f"org.apache.hadoop.fs.s3a.{kind}AWSCredentialsProvider"
        if token:
            found[PREFIX + "session.token"] = token
    return found


def adapt(spark: Any) -> None:
    """Leave s3:// to EMR's own client where the cluster has it."""
    java = spark._jvm.java.lang.Class
    try:
        java.forName("com.amazon.ws.emr.hadoop.fs.EmrFileSystem")
    except Exception:  # py4j wraps ClassNotFoundException; anything else means as little
        return
    spark._jsc.hadoopConfiguration().set("fs.s3.impl", "com.amazon.ws.emr.hadoop.fs.EmrFileSystem")
