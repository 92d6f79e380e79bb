"""Chat templates are code of strangers: rendered around placeholders, in a sandbox, within bounds."""

import time
from datetime import UTC, datetime

import pytest

from models.errors import TemplateError
from models.template import ChatTemplate
from tests.models.tiny_gguf import CHATML

CONTENTS = "{% for m in messages %}{{ m.content }}{% endfor %}"

GEMMA_LIKE = (
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system role') }}{% endif %}"
    "{% for message in messages %}"
    "{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('roles must alternate') }}{% endif %}"
    "{{ '<start_of_turn>' + message['role'] + '\n' + message['content'] | trim + '<end_of_turn>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}"
)

MISTRAL_LIKE = (
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}"
    "{% set system, messages = messages[0]['content'] + '\n\n', messages[1:] %}"
    "{% else %}{% set system = '' %}{% endif %}"
    "{% for message in messages %}{% if message['role'] == 'user' %}"
    "{{ '[INST] ' + (system if loop.last else '') + message['content'] + ' [/INST]' }}"
    "{% else %}{{ ' ' + message['content'] + eos_token }}{% endif %}{% endfor %}"
)

PLAIN = (
    "{% for message in messages %}{{ message['role'] | upper + ': ' + message['content'] + '\n' }}{% endfor %}"
    "{{ 'ASSISTANT: ' }}"
)


def test_result_is_split_at_the_messages() -> None:
    assert ChatTemplate(CHATML).render(("system", "user")) == (
        *("<|im_start|>system\n", 0, "<|im_end|>\n<|im_start|>user\n", 1),
        "<|im_end|>\n<|im_start|>assistant\n",
    )


def test_template_sees_the_tokens_and_says_whether_it_takes_a_system_message() -> None:
    template = ChatTemplate(GEMMA_LIKE, bos="<bos>", eos="<eos>")
    assert not template.supports_system
    assert template.render(("user",))[0] == "<bos><start_of_turn>user\n"
    assert ChatTemplate(CHATML).supports_system


def test_a_system_message_that_moves_on_with_the_newest_words_is_none() -> None:
    template = ChatTemplate(MISTRAL_LIKE)
    assert template.render(("system", "user")) == ("[INST] ", 0, "\n\n", 1, " [/INST]")
    assert not template.supports_system


def test_refused_roles_are_an_error_that_quotes_the_template() -> None:
    with pytest.raises(TemplateError, match="roles must alternate"):
        ChatTemplate(GEMMA_LIKE).render(("user", "user"))


def test_without_a_template_the_error_says_how_to_give_one() -> None:
    with pytest.raises(TemplateError, match=r"Tiny has no chat template.*settings"):
        ChatTemplate(None, model_name="Tiny")


def test_what_transformers_offers_is_there() -> None:
    source = (
        "{% for m in messages %}{% if loop.index0 == 1 %}{% break %}{% endif %}"
        "{% generation %}{{ m.content }}{% endgeneration %}{% endfor %}\n"
        "{{ {'a': 'é'} | tojson }} {{ {'b': 1} | tojson(indent=1) }} {{ strftime_now('%d %b %Y') }}"
    )
    rendered = ChatTemplate(source, now=datetime(2026, 3, 4, tzinfo=UTC)).render(("user",))
    assert rendered == (0, '{"a": "é"} {\n "b": 1\n} 04 Mar 2026')


def test_blocks_leave_no_blank_lines() -> None:
    assert ChatTemplate("  {% for m in messages %}\n{{ m.content }}\n  {% endfor %}\nend").render(("user",)) == (
        0,
        "\nend",
    )


def test_a_template_that_loses_or_cuts_messages_is_refused() -> None:
    for source in (
        "hello",
        CONTENTS * 2,
        "{{ messages[0].content[:1] }}",
        "{{ messages[0].content | replace('0', '7') }}",
    ):
        with pytest.raises(TemplateError, match=r"leaves out|cuts"):
            ChatTemplate(source)


@pytest.mark.parametrize(
    "source",
    [
        "{% for a in range(99999) %}{% for b in range(99999) %}x{% endfor %}{% endfor %}",
        "{% for a in range(9999) %}{% for b in 'xxxxxxxxxxxx' %}x{% endfor %}{% endfor %}",
        "{% macro f() %}{{ f() }}{{ f() }}{% endmacro %}{{ f() }}",
        "{% for m in messages recursive %}{{ loop(messages) }}{% endfor %}",
        "{% for a in range(50000) %}{{ range(90000) | sum }}{% endfor %}",
        "{% set n = namespace(x='ab') %}{% for a in range(99) %}{% set n.x = n.x ~ n.x %}{% endfor %}",
        "{% set n = namespace(x='ab') %}{% for a in range(99) %}{% set n.x = n.x + n.x %}{% endfor %}",
        "{{ 'a' * 10000000000 }}",
        "{{ 10 ** 10 ** 10 }}",
        "{% for a in range(90000) %}{{ 'twelve chars' }}{% endfor %}",
        "{{ lipsum(n=100000) }}",
        "{{ '((' }}" + "{{" + "(" * 3000 + "1" + ")" * 3000 + "}}",
    ],
)
def test_a_template_cannot_run_on(source: str) -> None:
    began = time.monotonic()
    with pytest.raises(TemplateError):
        ChatTemplate(source + CONTENTS)
    assert time.monotonic() - began < 2  # most take milliseconds


@pytest.mark.parametrize(
    "source",
    [
        "{{ ''.__class__.__mro__ }}",
        "{{ cycler.__init__.__globals__ }}",
        "{{ messages.append(1) }}",
        "{{ messages.clear() }}",
        "{% include '/etc/passwd' %}",
        "{% import 'os' as os %}",
        "{% extends 'base' %}",
    ],
)
def test_a_template_cannot_leave_the_sandbox(source: str) -> None:
    with pytest.raises(TemplateError):
        ChatTemplate(source + CONTENTS)


@pytest.mark.parametrize(
    "source",
    [
        *("{% if %}", "{{ 1 | nofilter }}", "{% nonsense %}", "{{ 1 / 0 }}", "{{ messages[99].content }}"),
        *(
            "{{ 'a' + 1 }}",
            "{{ none() }}",
            "{{ raise_exception('no') }}",
            "{{ strftime_now(3) }}",
            "{{ range(1, 2, 0) }}",
        ),
        "{% for a in [1] %}" * 30 + "{% endfor %}" * 30,
    ],
)
def test_a_broken_template_is_an_error_of_ours(source: str) -> None:
    with pytest.raises(TemplateError, match="chat template of this model"):
        ChatTemplate(source + CONTENTS)
