"""Reading from a connection: paused while requests wait for their turn."""

import asyncio
from collections.abc import Callable

from uvicorn.protocols.http.flow_control import FlowControl


class PipelineFlowControl(FlowControl):
    """Pauses reading while earlier requests wait; uvicorn resumes it after each response."""

    def __init__(self, transport: asyncio.Transport, is_held: Callable[[], bool]) -> None:
        super().__init__(transport)
        self._is_held = is_held

    def resume_reading(self) -> None:
        """Read on, unless requests still wait."""
        if not self._is_held():
            super().resume_reading()
