"""The fields of OpenAI's own chat and embedding responses; every other one is a vendor's, or ours."""

from __future__ import annotations

_RESPONSE = "id object created model choices data usage service_tier system_fingerprint"
_CHOICE = "index message delta finish_reason logprobs embedding"
_MESSAGE = "role content refusal tool_calls function_call audio annotations parsed"
_CALL = "type function custom name arguments parsed_arguments"
_LOGPROBS = "token logprob bytes top_logprobs"
_USAGE = "prompt_tokens completion_tokens total_tokens prompt_tokens_details completion_tokens_details"
_DETAILS = "cached_tokens cache_write_tokens audio_tokens reasoning_tokens accepted_prediction_tokens rejected_prediction_tokens"

NAMES: frozenset[str] = frozenset(" ".join((_RESPONSE, _CHOICE, _MESSAGE, _CALL, _LOGPROBS, _USAGE, _DETAILS)).split())
