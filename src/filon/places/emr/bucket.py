"""The bucket of `[places.emr]`: addresses, what is there, and uploads of what is not."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filon.errors import PlaceError
from filon.events import Event, Listen
from filon.places.emr.client import Aws, pages
from filon.places.emr.ledger import Ledger

PART_BYTES = 32 << 20
"""Of an upload in parts; a file no larger goes in one request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """An address in S3: bucket and the key or prefix in it, without slashes at the ends."""

    bucket: str
    key: str

    @property
    def uri(self) -> str:
        """s3://bucket/key."""
        return f"s3://{self.bucket}/{self.key}".rstrip("/")

    def __truediv__(self, name: str) -> Address:
        return Address(bucket=self.bucket, key=f"{self.key}/{name}".strip("/"))


def address(uri: str) -> Address:
    """An s3:// address in its parts.

    >>> (address("s3://mine/filon/") / "jobs").uri
    's3://mine/filon/jobs'
    """
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return Address(bucket=bucket, key=key.strip("/"))


class Bucket:
    """Objects under the recipe's prefix. What is written is in the ledger first."""

    def __init__(self, aws: Aws, root: str, ledger: Ledger) -> None:
        if not root:
            raise PlaceError(
                "places.no-bucket",
                "the recipe does not say which bucket the job may use",
                "places.emr.bucket is empty",
                '[places.emr]\nbucket = "s3://my-bucket/filon"',
            )
        self.aws, self.root, self.ledger = aws, address(root), ledger

    def check_region(self) -> None:
        """The bucket is there, ours to see, and where the job will be.

        Raises
        ------
        PlaceError : `places.bucket-missing`, `places.access-denied`, `places.bucket-region`
        """
        answer = self.aws.call("s3", "head_bucket", Bucket=self.root.bucket)
        where = answer.get("BucketRegion") or answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("x-amz-bucket-region", "")
        if where and where != self.aws.region:
            raise PlaceError(
                "places.bucket-region",
                f"the bucket {self.root.bucket} is in {where}, the job would run in {self.aws.region}",
                "EMR writes logs only to its own region, and every byte between two is paid",
                f'places.emr.region = "{where}", or a bucket in {self.aws.region}',
            )

    def has(self, place: Address) -> int | None:
        """Bytes of an object, None when it is not there."""
        try:
            answer = self.aws.call("s3", "head_object", Bucket=place.bucket, Key=place.key)
        except PlaceError as exc:
            if exc.code == "places.object-missing":
                return None
            raise
        return int(answer.get("ContentLength", 0))

    def read(self, place: Address) -> bytes:
        """An object's bytes."""
        answer = self.aws.call("s3", "get_object", Bucket=place.bucket, Key=place.key)
        body = answer["Body"]
        return bytes(body.read()) if hasattr(body, "read") else bytes(body)

    def listed(self, place: Address, after: str = "") -> list[dict[str, Any]]:
        """Objects under a prefix (with a slash after it), in the order of their keys: Key, Size, LastModified."""
        words: dict[str, Any] = {"Bucket": place.bucket, "Prefix": f"{place.key}/"}
        if after:
            words["StartAfter"] = after
        token = ("NextContinuationToken", "ContinuationToken")
        return pages(self.aws, "s3", "list_objects_v2", "Contents", token, **words)

    def write(self, place: Address, data: bytes) -> None:
        """One small object in a folder that is in the ledger already."""
        self.aws.call("s3", "put_object", Bucket=place.bucket, Key=place.key, Body=data)

    def keep(self, file: Path, listen: Listen) -> Address:
        """A file under the hash of its content: uploaded only when no equal one is there; jobs share it."""
        size = file.stat().st_size
        place = self.root / "objects" / digest(file) / file.name
        if self.has(place) == size:
            listen(Event(stage="upload", text=f"{file.name} is there already"))
            return place
        entry = self.ledger.intend("object", place.uri, job="", region=self.aws.region)
        listen(Event(stage="upload", text=f"{file.name}, {size / 2**20:,.1f} MiB"))
        self._send(file, place, size, listen)
        self.ledger.made(entry, place.uri)
        return place

    def _send(self, file: Path, place: Address, size: int, listen: Listen) -> None:
        where = {"Bucket": place.bucket, "Key": place.key}
        if size <= PART_BYTES:
            self.aws.call("s3", "put_object", **where, Body=file.read_bytes())
            return
        upload = str(self.aws.call("s3", "create_multipart_upload", **where)["UploadId"])
        parts = []
        for number, part in enumerate(_parts(file), 1):
            sent = self.aws.call("s3", "upload_part", **where, UploadId=upload, PartNumber=number, Body=part)
            parts.append({"PartNumber": number, "ETag": sent["ETag"]})
            listen(Event(stage="upload", text=file.name, done=min(size, number * PART_BYTES) >> 20, total=size >> 20))
        self.aws.call("s3", "complete_multipart_upload", **where, UploadId=upload, MultipartUpload={"Parts": parts})

    def remove(self, place: Address) -> int:
        """Delete an object, or all under a prefix, and uploads that were never completed; how many objects."""
        self._abort(place)
        keys = [one["Key"] for one in self.listed(place)]
        if self.has(place) is not None:
            keys.append(place.key)
        for start in range(0, len(keys), 1000):
            some = [{"Key": key} for key in keys[start : start + 1000]]
            self.aws.call("s3", "delete_objects", Bucket=place.bucket, Delete={"Objects": some, "Quiet": True})
        return len(keys)

    def _abort(self, place: Address) -> None:
        begun = self.aws.call("s3", "list_multipart_uploads", Bucket=place.bucket, Prefix=place.key).get("Uploads", [])
        for one in begun:
            self.aws.call("s3", "abort_multipart_upload", Bucket=place.bucket, Key=one["Key"], UploadId=one["UploadId"])


def digest(file: Path) -> str:
    """The first 16 hex digits of a file's SHA-256."""
    found = hashlib.sha256()
    with file.open("rb") as handle:
        while piece := handle.read(1 << 20):
            found.update(piece)
    return found.hexdigest()[:16]


def _parts(file: Path) -> Iterator[bytes]:
    with file.open("rb") as handle:
        while piece := handle.read(PART_BYTES):
            yield piece
