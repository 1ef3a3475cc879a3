"""The door to AWS: one method, `call`, through which every request goes; foreign errors become coded ones."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from filon.errors import PlaceError, SetupError

ONCE = frozenset({"run_job_flow", "add_job_flow_steps", "add_instance_groups", "start_job_run", "create_application"})
"""Calls that make something each time they arrive: never sent again unseen, because the answer to the first may only have been lost."""

BODILESS = ("places.access-denied", "places.request-refused")
CREDENTIALS = ("places.credentials-expired", "places.credentials-refused", "places.clock-skew")

CONNECT_TIMEOUT_S = 10
READ_TIMEOUT_S = 60
ATTEMPTS = 6
"""Of a call that may be repeated; botocore waits up to 20 s between two."""


class Aws(Protocol):
    """Whoever takes a request to AWS: the real client, or the one that only writes it down."""

    region: str

    def call(self, service: str, operation: str, /, **words: Any) -> dict[str, Any]:
        """One request; `operation` in snake case, `words` as the service names them."""
        ...


class Client:
    """AWS over HTTP: addresses, credentials and profiles by the rules of the AWS command line (AWS_ENDPOINT_URL included)."""

    def __init__(self, region: str = "", *, attempts: int = ATTEMPTS) -> None:
        self._session = _session()
        self.region = region or self._session.region_name or ""
        if not self.region:
            raise PlaceError(
                "places.no-region",
                "nobody said which AWS region",
                "the recipe has no places.emr.region, the environment no AWS_REGION, the profile no region",
                '[places.emr]\nregion = "us-east-1"',
            )
        self._attempts = attempts
        self._clients: dict[tuple[str, bool], Any] = {}

    def call(self, service: str, operation: str, /, **words: Any) -> dict[str, Any]:
        """One request.

        Raises
        ------
        PlaceError : `places.*`; `retryable` says whether the same request may work later
        """
        try:
            return self._ask(service, operation, operation in ONCE, words)
        except PlaceError as exc:
            if operation.startswith("head_") and exc.code in BODILESS:
                self._doubt_credentials()
            raise

    def _ask(self, service: str, operation: str, once: bool, words: Mapping[str, Any]) -> dict[str, Any]:
        client = self._client(service, once)
        with translated(service, operation, words):
            answer: dict[str, Any] = getattr(client, operation)(**words)
        return answer

    def _doubt_credentials(self) -> None:
        """The answer to a HEAD has no body, so S3 says a bare 400 or 403 of credentials that have expired, or of a wrong clock too
        (aws/aws-sdk-js#2219). STS has words for it, and lets everybody ask."""
        try:
            self._ask("sts", "get_caller_identity", True, {})
        except PlaceError as exc:
            if exc.code in CREDENTIALS:
                raise

    def _client(self, service: str, once: bool) -> Any:
        key = (service, once)
        if key not in self._clients:
            from botocore.config import Config

            retries = {"mode": "standard", "total_max_attempts": 1 if once else self._attempts}
            addressing = {"addressing_style": "path"} if _emulated() else {}
            config = Config(retries=retries, connect_timeout=CONNECT_TIMEOUT_S, read_timeout=READ_TIMEOUT_S, s3=addressing)
            with translated(service, "connect", {}):
                self._clients[key] = self._session.client(service, region_name=self.region, config=config)
        return self._clients[key]


def _emulated() -> bool:
    return any(os.environ.get(name) for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"))


def _session() -> Any:
    try:
        import boto3
        from botocore.exceptions import ProfileNotFound
    except ImportError as exc:
        raise SetupError("places.aws-extra-missing", "the AWS client is not installed", f"{exc}", "pip install 'filon[aws]'") from exc
    try:
        return boto3.Session()
    except ProfileNotFound as exc:
        raise PlaceError(
            "places.no-credentials", "the AWS profile does not exist", str(exc), "set AWS_PROFILE to one of `aws configure list-profiles`"
        ) from exc


class translated:  # noqa: N801 - reads as a verb at `with`
    """Foreign errors inside the block become coded ones."""

    def __init__(self, service: str, operation: str, words: Mapping[str, Any]) -> None:
        self.service, self.operation, self.words = service, operation, words

    def __enter__(self) -> None:
        return

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, trace: Any) -> None:
        from botocore.exceptions import BotoCoreError, ClientError
        from botocore.parsers import ResponseParserError

        if isinstance(exc, ClientError):
            raise refused(exc.response, self.service, self.operation, self.words) from exc
        if isinstance(exc, BotoCoreError | ResponseParserError):  # a proxy's page instead of an answer is one too
            raise unsent(exc, self.service, self.operation) from exc


def retryable(error: PlaceError) -> PlaceError:
    """Mark an error whose call may work later."""
    error.retryable = True
    return error


THROTTLED = {
    *("Throttling", "ThrottlingException", "ThrottledException", "RequestThrottled", "TooManyRequestsException", "SlowDown"),
    *("RequestLimitExceeded", "ProvisionedThroughputExceededException", "RequestThrottledException", "BandwidthLimitExceeded"),
}
EXPIRED = {"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired"}
SKEWED = {"RequestTimeTooSkewed", "RequestExpired", "RequestInTheFuture"}
UNKNOWN_WHO = {
    *("InvalidClientTokenId", "UnrecognizedClientException", "InvalidAccessKeyId", "SignatureDoesNotMatch", "AuthFailure"),
    *("InvalidSignatureException", "InvalidToken", "IncompleteSignature", "MissingAuthenticationToken"),
}
DENIED = {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "UnauthorizedAccess", "AllAccessDisabled", "403"}
WRONG_REGION = {"PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "301"}
SKEW_ALLOWED_S = 240
"""AWS takes 5 minutes; nearer than that, a refused signature has another reason."""


def refused(response: Mapping[str, Any], service: str, operation: str, words: Mapping[str, Any]) -> PlaceError:
    """The coded error of an answer that says no.

    Parameters
    ----------
    response : the answer as botocore parsed it: `Error.Code`, `Error.Message`, `ResponseMetadata`
    """
    error, meta = response.get("Error", {}), response.get("ResponseMetadata", {})
    code, said = str(error.get("Code", "")), " ".join(str(error.get("Message", "")).split())[:400]
    status = int(meta.get("HTTPStatusCode", 0))
    asked, why = f"{service}:{operation}", f"{code}: {said}" if said else code
    skew = _skew_s(meta.get("HTTPHeaders", {}).get("date", ""))
    if code in SKEWED or (code in UNKNOWN_WHO and (abs(skew) > SKEW_ALLOWED_S or "Signature expired" in said or "not yet current" in said)):
        apart = f"this machine's clock is {abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} AWS's; {why}"
        return retryable(
            PlaceError(
                "places.clock-skew",
                "AWS refuses requests that are signed with a wrong time",
                apart,
                "set the clock: timedatectl set-ntp true",
            )
        )
    if code in EXPIRED:
        fix = "renew them (aws sso login), then run the same command again: what was sent stands, `filon attach` finds it"
        return retryable(PlaceError("places.credentials-expired", "the AWS credentials have expired", f"{asked} answered {why}", fix))
    if code in UNKNOWN_WHO:
        fix = "check AWS_PROFILE, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY: aws sts get-caller-identity"
        return PlaceError("places.credentials-refused", "AWS does not know these credentials", f"{asked} answered {why}", fix)
    if code in WRONG_REGION:
        where = error.get("Region") or meta.get("HTTPHeaders", {}).get("x-amz-bucket-region", "another region")
        return PlaceError(
            "places.bucket-region",
            f"the bucket {words.get('Bucket', '')} is in {where}",
            why,
            "set places.emr.region to the bucket's region",
        )
    if code in THROTTLED or status == 429:
        return retryable(
            PlaceError("places.throttled", "AWS asks us to slow down", f"{asked} answered {why}", "run the command again in a minute")
        )
    if status >= 500:
        return retryable(
            PlaceError(
                "places.service-down", "AWS failed to answer", f"{asked} answered {status} {why}", "run the command again: nothing is lost"
            )
        )
    if code in DENIED:
        return _denied(asked, said, why, words)
    if code in ("NoSuchBucket", "404") and "Bucket" in words and "Key" not in words:
        return PlaceError(
            "places.bucket-missing", f"there is no bucket {words['Bucket']}", why, "filon infra up makes it, or correct places.emr.bucket"
        )
    if code == "NoSuchBucket":
        return PlaceError(
            "places.bucket-missing",
            f"there is no bucket {words.get('Bucket')}",
            why,
            "filon infra up makes it, or correct places.emr.bucket",
        )
    if code in ("NoSuchKey", "404") and service == "s3":
        return PlaceError(
            "places.object-missing",
            f"there is no s3://{words.get('Bucket')}/{words.get('Key', '')}",
            why,
            f"aws s3 ls s3://{words.get('Bucket')}/",
        )
    return PlaceError("places.request-refused", f"AWS refuses {asked}", why, "correct what it names; --on dry-run shows the whole request")


def _denied(asked: str, said: str, why: str, words: Mapping[str, Any]) -> PlaceError:
    import re

    who = re.search(r"(arn:aws[\w-]*:(?:iam|sts)::\S+)", said)
    action = re.search(r"perform:? ([\w-]+:\w+)", said)
    what = action.group(1) if action else asked
    where = f" on s3://{words['Bucket']}/{words.get('Key', words.get('Prefix', ''))}" if "Bucket" in words else ""
    name = who.group(1) if who else "whoever these credentials are"
    return PlaceError(
        "places.access-denied", f"{name} may not {what}{where}", why, f"allow {what} in its policy (filon infra init writes one)"
    )


def unsent(exc: Exception, service: str, operation: str) -> PlaceError:
    """The coded error of a request that got no answer, or was never sent."""
    kind, said = type(exc).__name__, " ".join(str(exc).split())[:400]
    asked = f"{service}:{operation}"
    if kind in (
        "NoCredentialsError",
        "PartialCredentialsError",
        "CredentialRetrievalError",
        "UnauthorizedSSOTokenError",
        "SSOTokenLoadError",
    ):
        fix = "aws sso login, or set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        return PlaceError("places.no-credentials", "there are no AWS credentials", said, fix)
    if kind in ("TokenRetrievalError",):
        return retryable(PlaceError("places.credentials-expired", "the AWS credentials have expired", said, "aws sso login"))
    if kind == "ParamValidationError":
        return PlaceError(
            "places.request-refused", f"the request {asked} is not one AWS takes", said, "--on dry-run shows the whole request"
        )
    if kind in ("NoRegionError", "InvalidRegionError"):
        return PlaceError("places.no-region", "nobody said which AWS region", said, '[places.emr]\nregion = "us-east-1"')
    fix = "check the network, places.emr.region and AWS_ENDPOINT_URL, then run the command again: what was sent stands"
    return retryable(PlaceError("places.unreachable", "AWS does not answer", f"{asked}: {said}", fix))


def _skew_s(date: str) -> float:
    """Seconds that this machine's clock is ahead of the answer's date; 0 when there is no date."""
    from email.utils import parsedate_to_datetime

    try:
        return time.time() - parsedate_to_datetime(date).timestamp() if date else 0.0
    except ValueError:
        return 0.0


def pages(
    aws: Aws, service: str, operation: str, field: str, token: tuple[str, str] = ("Marker", "Marker"), /, **words: Any
) -> list[dict[str, Any]]:
    """All items of a listing, whatever its pages.

    Parameters
    ----------
    field : name of the list in the answer
    token : how the answer names the next page, and how the request does
    """
    found: list[dict[str, Any]] = []
    more: dict[str, Any] = {}
    while True:
        answer = aws.call(service, operation, **words, **more)
        found += answer.get(field, [])
        following = answer.get(token[0])
        if not following:
            return found
        more = {token[1]: following}


def patiently(work: Callable[[], Any], *, tries: int = 5, first_wait_s: float = 1.0) -> Any:
    """Do something again while its error is one that may pass; the waits double.

    Only for work that looks before it makes: a call of `ONCE` alone must not be repeated.
    """
    for attempt in range(tries):
        try:
            return work()
        except PlaceError as exc:
            if not exc.retryable or exc.code in ("places.credentials-expired", "places.clock-skew") or attempt == tries - 1:
                raise
            time.sleep(first_wait_s * 2**attempt)
    raise AssertionError("unreachable")
