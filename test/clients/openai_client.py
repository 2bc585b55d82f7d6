"""The Python package of OpenAI against a running coordinator: each body and chunk is held against the package's own models. Prints what it saw as JSON."""

import json
import sys

import openai
from openai.types import Completion, Model
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response

base_url, key, model = sys.argv[1:4]
client = openai.OpenAI(base_url=base_url, api_key=key)
messages = [{"role": "user", "content": "Name three colours."}]
seen = {}


def refused(name, call):
    try:
        call()
    except openai.APIStatusError as error:
        seen[name] = [type(error).__name__, error.status_code, error.code]
        return
    raise AssertionError(f"{name} was not refused")


listed = client.models.list()
seen["models"] = [Model.model_validate(one.model_dump()).id for one in listed.data]

raw = client.chat.completions.with_raw_response.create(model=model, messages=messages, max_tokens=24, temperature=0, logprobs=True, top_logprobs=2)
whole = ChatCompletion.model_validate_json(raw.text)
seen["requestId"] = raw.headers["x-request-id"]
seen["whole"] = whole.choices[0].message.content
seen["logprobs"] = len(whole.choices[0].logprobs.content)

text, usage = "", None
stream = client.chat.completions.create(
    model=model, messages=messages, max_tokens=24, temperature=0, stream=True, stream_options={"include_usage": True}
)
for chunk in stream:
    ChatCompletionChunk.model_validate(chunk.model_dump())
    text += chunk.choices[0].delta.content or "" if chunk.choices else ""
    usage = chunk.usage or usage
seen["streamed"] = text
seen["usage"] = usage.total_tokens

raw = client.completions.with_raw_response.create(model=model, prompt="The capital of France is", max_tokens=4, temperature=0)
seen["completion"] = Completion.model_validate_json(raw.text).choices[0].text

raw = client.responses.with_raw_response.create(model=model, input=messages, max_output_tokens=24, temperature=0)
seen["response"] = Response.model_validate_json(raw.text).output_text
seen["responseStreamed"] = ""
for event in client.responses.create(model=model, input=messages, max_output_tokens=24, temperature=0, stream=True):
    if event.type == "response.output_text.delta":
        seen["responseStreamed"] += event.delta
    if event.type in ("response.completed", "response.incomplete"):
        seen["responseEnd"] = Response.model_validate(event.response.model_dump()).output_text

refused("badKey", lambda: openai.OpenAI(base_url=base_url, api_key="no key").models.list())
refused("noModel", lambda: client.chat.completions.create(model="gpt-4", messages=messages))
refused("noTools", lambda: client.chat.completions.create(model=model, messages=messages, tools=[{"type": "function", "function": {"name": "f"}}]))
refused("tooHot", lambda: client.chat.completions.create(model=model, messages=messages, temperature=3))

print(json.dumps(seen))
