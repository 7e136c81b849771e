"""Libraries import less, each in a process of its own."""

import json
import subprocess
import sys
from textwrap import dedent
from typing import Any


def run(program: str) -> Any:  # noqa: ANN401 - any JSON
    """Return what a program prints as JSON."""
    command = [sys.executable, "-c", f"import json, sys\n{dedent(program)}"]
    return json.loads(subprocess.run(command, capture_output=True, check=True).stdout)


def test_leave_out() -> None:
    """A module that is left out has None for all that others import from it."""
    assert run(
        """
        from graphql_api.utils.imports import leave_out
        leave_out("wave")
        from wave import open
        import wave
        print(json.dumps([open, hasattr(wave, "__path__")]))
        """
    ) == [None, False]


def test_deferred_imports() -> None:
    """A module is executed when something of it is used; who imports it afterwards gets the module itself."""
    assert run(
        """
        from graphql_api.utils.imports import deferred_imports
        with deferred_imports("concurrent.futures.process", "email"):
            from concurrent.futures import process
            import email
        names = ["concurrent.futures.process", "multiprocessing.connection", "email"]
        steps = [[name in sys.modules for name in names]]
        steps.append([process.ProcessPoolExecutor.__name__, hasattr(process, "__path__")])
        steps.append([name in sys.modules for name in names])
        import concurrent.futures.process
        steps.append(process.ProcessPoolExecutor is concurrent.futures.process.ProcessPoolExecutor)
        print(json.dumps(steps))
        """
    ) == [[False, False, False], ["ProcessPoolExecutor", False], [True, True, False], True]


def test_module_that_was_imported() -> None:
    """A module that was imported before is neither left out nor deferred."""
    assert run(
        """
        import email
        from graphql_api.utils.imports import deferred_imports, leave_out
        leave_out("email")
        with deferred_imports("email"):
            import email as other
        print(json.dumps([other is email, sys.modules["email"] is email, email.message_from_string("a: b")["a"]]))
        """
    ) == [True, True, "b"]


def test_sessions_of_sqlalchemy() -> None:
    """The database needs no ORM."""
    assert (
        run(
            """
        import graphql_api.storage.database
        print(json.dumps([name for name in sys.modules if name.startswith("sqlalchemy.orm")]))
        """
        )
        == []
    )


def test_encryption_of_asyncmy() -> None:
    """The driver of MySQL executes the encryption of passwords when it encrypts one."""
    assert run(
        """
        from graphql_api.storage.dialects import get_dialect
        from graphql_api.storage.url import DatabaseKind
        get_dialect(DatabaseKind.MYSQL)
        from asyncmy.auth import sha2_rsa_encrypt
        steps = ["cryptography.hazmat.bindings._rust" in sys.modules]
        from cryptography.hazmat.primitives.asymmetric import padding, rsa
        from cryptography.hazmat.primitives.hashes import SHA1
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
        key = rsa.generate_private_key(65537, 2048)
        pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        encrypted = sha2_rsa_encrypt(b"secret", bytes(20), pem)
        oaep = padding.OAEP(padding.MGF1(SHA1()), SHA1(), None)
        steps.append(key.decrypt(encrypted, oaep).decode())
        print(json.dumps(steps))
        """
    ) == [False, "secret\0"]
