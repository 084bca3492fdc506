"""What the steps of workflow.yaml do: plain Python functions."""

import hashlib

from temporalio import activity
from temporalio.exceptions import ApplicationError

from interpreter.activities import idempotency_key


@activity.defn(name="accounts.open")
def open_account(name: str) -> dict[str, str]:
    """Opens an account.

    The key is the same for every attempt of the same step: give it to the service that you
    call, so that a repetition does nothing twice.
    """
    key = idempotency_key()
    number = hashlib.sha256(key.encode()).hexdigest()[:8]
    activity.logger.info("opened %s for %s", number, name)
    return {"account": number}


@activity.defn(name="accounts.close")
def close_account(account: str) -> None:
    """Closes an account: what undoes opening it."""
    activity.logger.info("closed %s", account)


@activity.defn(name="mail.send")
async def send_mail(to: str, text: str) -> None:
    """Sends a mail."""
    if "@" not in to:
        # An error that another attempt would not mend. A `catch` sees its type.
        raise ApplicationError(f"{to} is no address", type="NoSuchAddress", non_retryable=True)
    activity.logger.info("to %s: %s", to, text)
