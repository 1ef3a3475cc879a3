"""Tables by their names: where Spark's catalogs say that they lie. From there on they are files, read by the table's own log."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote

from filon.engines.lake import Place
from filon.engines.spark.session import Session
from filon.errors import DataError, SetupError

FORMATS = {"iceberg": "iceberg", "delta": "delta", "parquet": "parquet", "csv": "csv", "hive": "parquet"}
"""By the catalog's own word; Hive's tables are looked into, and refused where they are no Parquet."""


def place(session: Session, name: str) -> Place:
    """Where a table lies, of which format it is, and (Iceberg) the snapshot that is current now.

    Raises
    ------
    SetupError : `engines.catalog-missing`
    DataError : `read.lake-missing`, `read.lake-unsupported`
    """
    quoted = ".".join(f"`{part}`" for part in name.split("."))
    try:
        rows = session.spark.sql(f"DESCRIBE TABLE EXTENDED {quoted}").collect()
    except Exception as exc:  # Spark raises a dozen classes for what it does not find
        raise _unknown(name, " ".join(str(exc).split())[:300]) from exc
    said = {str(row["col_name"]).strip().lower(): str(row["data_type"] or "") for row in rows}
    provider = said.get("provider", "").lower()
    if provider not in FORMATS or "location" not in said:
        kind = said.get("type") or provider or "no table of files"
        fix = f"CREATE TABLE {name}_rows USING parquet AS SELECT * FROM {name}, and data.source = 'table:{name}_rows'"
        raise DataError("read.lake-unsupported", f"{name} is not a table that Filon reads", f"Spark's catalog says: {kind}", fix)
    found = re.search(r"current-snapshot-id=(\d+)", said.get("table properties", ""))
    return Place(kind=FORMATS[provider], folder=_folder(said["location"]), version=found[1] if found and provider == "iceberg" else "")


def _folder(uri: str) -> str:
    """A location as Filon names it."""
    plain = re.sub(r"^s3[an]://", "s3://", uri)
    return unquote(re.sub(r"^file:(//)?", "", plain)) if plain.startswith("file:") else plain


def _unknown(name: str, said: str) -> Any:
    jars = re.search(r"(?i)cannot find catalog plugin|CATALOG_NOT_FOUND|ClassNotFound|NoClassDefFound|DATA_SOURCE_NOT_FOUND", said)
    if jars:
        fix = (
            f"--spark-conf spark.sql.catalog.{name.split('.')[0]}=org.apache.iceberg.spark.SparkCatalog, with its jar in spark.jars "
            f"(or name the folder: data.source = 'iceberg:s3://bucket/warehouse/db/table')"
        )
        return SetupError("engines.catalog-missing", f"Spark does not know the catalog of {name}, or lacks its jar", said, fix)
    return DataError("read.lake-missing", f"Spark's catalogs have no table {name}", said, "SHOW TABLES IN ... lists what is there")
