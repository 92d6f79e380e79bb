"""Chat templates are code of strangers: rendered around placeholders, in a sandbox, within bounds."""

import time
from datetime import UTC, datetime

import pytest

from models.errors import TemplateError
from models.messages import Role
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

GEMMA3_LIKE = (
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}"
    "{% set lead, messages = messages[0]['content'] + '\n\n', messages[1:] %}{% else %}{% set lead = '' %}{% endif %}"
    "{% for message in messages %}"
    "{% set role = 'model' if message['role'] == 'assistant' else message['role'] %}"
    "{{ '<start_of_turn>' + role + '\n' + (lead if loop.first else '') }}"
    "{{ message['content'] | trim + '<end_of_turn>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}"
)

QWEN3_LIKE = (
    "{% for message in messages %}{% set content = message.content %}"
    "{% if message.role == 'assistant' and '</think>' in content %}"
    "{% set content = content.split('</think>')[-1].lstrip('\n') %}{% endif %}"
    "{{ '<|im_start|>' + message.role + '\n' + content + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}"
    "{% if enable_thinking is defined and enable_thinking is false %}{{ '<think>\n\n</think>\n\n' }}{% endif %}"
    "{% endif %}"
)

SMOLLM3_LIKE = (
    "{% set mode = '/think' if enable_thinking else '/no_think' %}"
    "{{ '<|im_start|>system\nToday Date: ' + strftime_now('%d %B %Y') + '\nReasoning Mode: ' + mode + '\n\n' }}"
    "{% if messages[0].role == 'system' %}{{ messages[0].content }}{% endif %}{{ '<|im_end|>\n' }}"
    "{% for message in messages if message.role != 'system' %}"
    "{{ '<|im_start|>' + message.role + '\n' + ('<think>\n\n</think>\n' if message.role == 'assistant' else '') }}"
    "{{ message.content + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}"
    "{{ '<|im_start|>assistant\n' + ('' if enable_thinking else '<think>\n\n</think>\n') }}{% endif %}"
)

LLAMA32_LIKE = (
    "{{ bos_token }}{% if not date_string is defined %}{% set date_string = strftime_now('%d %b %Y') %}{% endif %}"
    "{% if messages[0]['role'] == 'system' %}{% set system = messages[0]['content'] | trim %}"
    "{% set messages = messages[1:] %}{% else %}{% set system = '' %}{% endif %}"
    "{{ '<|start_header_id|>system<|end_header_id|>\n\nToday Date: ' + date_string + '\n\n' + system + '<|eot_id|>' }}"
    "{% for message in messages %}{{ '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n' }}"
    "{{ message['content'] | trim + '<|eot_id|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
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


def test_a_system_message_at_the_head_of_the_first_users_is_one() -> None:
    template = ChatTemplate(GEMMA3_LIKE, bos="<bos>")
    assert template.supports_system
    assert template.render(("system", "user", "assistant", "user"))[:5] == (
        *("<bos><start_of_turn>user\n", 0, "\n\n", 1),
        "<end_of_turn>\n<start_of_turn>model\n",
    )


def test_a_model_that_would_think_first_is_told_not_to() -> None:
    assert ChatTemplate(QWEN3_LIKE).render(("user",))[-1] == (
        "<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"
    )
    smollm3 = ChatTemplate(SMOLLM3_LIKE).render(("system", "user", "assistant", "user"))
    assert "Reasoning Mode: /no_think" in str(smollm3[0])
    assert [part for part in smollm3 if isinstance(part, int)] == [0, 1, 2, 3]
    assert str(smollm3[-1]).endswith("<think>\n\n</think>\n")


@pytest.mark.parametrize("source", [LLAMA32_LIKE, SMOLLM3_LIKE])
def test_the_date_in_a_prompt_stays_that_of_the_start(source: str) -> None:
    template = ChatTemplate(source, now=datetime(2026, 3, 4, 23, 59, 59, tzinfo=UTC))
    assert template.supports_system
    first = template.render(("system", "user"))
    assert "Today Date: 04 Mar" in str(first[0])
    assert template.render(("system", "user", "assistant", "user"))[: len(first) - 1] == first[:-1]


@pytest.mark.parametrize("source", [GEMMA_LIKE, GEMMA3_LIKE, QWEN3_LIKE, SMOLLM3_LIKE, LLAMA32_LIKE])
def test_a_conversation_that_grows_keeps_the_prompt_before_it(source: str) -> None:
    """Up to where the reply begins: a template may write something there that it does not repeat before an old one."""
    template = ChatTemplate(source)
    head: tuple[Role, ...] = ("system",) if template.supports_system else ()
    short = template.render((*head, "user", "assistant", "user"))
    assert template.render((*head, "user", "assistant", "user", "assistant", "user"))[: len(short) - 1] == short[:-1]


def test_refused_roles_are_an_error_that_quotes_the_template() -> None:
    with pytest.raises(TemplateError, match="roles must alternate"):
        ChatTemplate(GEMMA_LIKE).render(("user", "user"))


def test_a_template_cannot_write_to_the_terminal_by_way_of_its_error() -> None:
    with pytest.raises(TemplateError, match=r"failed: no \[2J luck") as caught:
        ChatTemplate("{{ raise_exception('no\x1b[2J\nluck" + "y" * 5_000 + "') }}")
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 400


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
