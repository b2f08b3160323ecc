"""An article, a channel and the facts → the reply that an agent copies.

The reply is text that a service approved, word for word, with its placeholders filled: the channel's layout around the lead, or
around ``short`` where the channel prefers it or the lead is over the limit, or the article's own text for that channel.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from kb import render
from kb.article import Article
from kb.errors import UnknownChannel
from kb.facts import Channel, Context, Service

Origin = Literal["lead", "short", "override"]


@dataclass(frozen=True)
class Reply:
    """A reply ready to copy.

    ``text`` and ``html`` say the same; ``missing`` names the unfilled placeholders, shown as words in square brackets; ``length`` is
    that of ``text`` in characters; ``origin`` says which text of the article was used.
    """

    channel: str
    text: str
    html: str
    missing: tuple[str, ...]
    length: int
    limit_chars: int | None
    origin: Origin

    @property
    def over_limit(self) -> bool:
        return self.limit_chars is not None and self.length > self.limit_chars


def values_for(article: Article, context: Context, url: str, filled: Mapping[str, str] | None = None) -> dict[str, str]:
    """List what every placeholder stands for in a text of this article.

    Args:
        url: stable address of the article's page.
        filled: what the agent typed, dotted name → value; names outside ``FILLED_BY_AGENT`` are ignored, values are cut at
            ``MAX_VALUE_CHARS``.
    """
    own = context.service(article.service)
    values = {"article.title": article.title, "article.url": url}
    town = context.organisation
    for key in ("name", "email", "phone", "hours", "address", "url", "faq_url", "legal_notice", "closing"):
        values[f"organisation.{key}"] = getattr(town, key)
    values |= {f"organisation.facts.{key}": value for key, value in town.facts.items()}
    values |= _service_values("service", own)
    for key, service in context.services.items():
        values |= _service_values(f"services.{key.replace('-', '_')}", service)
    for name, value in (filled or {}).items():
        if name in render.FILLED_BY_AGENT and value.strip():
            values[name] = " ".join(value.split())[: render.MAX_VALUE_CHARS]
    if "citizen.name" not in values:
        names = [values[key] for key in ("citizen.first_name", "citizen.last_name") if key in values]
        values["citizen.name"] = " ".join(names)
    elif not {"citizen.first_name", "citizen.last_name"} & set(values):
        values["citizen.first_name"] = values["citizen.name"]  # « Madame Morel », on the channels that greet by the first name too
    # The signature is itself a text with placeholders, filled once: it cannot contain itself.
    values["organisation.signature"] = render.fill(town.signature, values, escape=False).markdown
    return values


def _service_values(prefix: str, service: Service) -> dict[str, str]:
    values = {f"{prefix}.{key}": getattr(service, key) for key in render.SERVICE_FIELDS}
    return values | {f"{prefix}.facts.{key}": value for key, value in service.facts.items()}


def channel(context: Context, key: str) -> Channel:
    """Find a channel by its key.

    Raises:
        UnknownChannel: ``channels.yml`` has none of this key.
    """
    try:
        return context.channels[key]
    except KeyError:
        known = ", ".join(context.channels)
        raise UnknownChannel(f"Le canal « {key} » n'existe pas. Canaux possibles : {known}.") from None


def render_reply(
    article: Article,
    channel_key: str,
    context: Context,
    url: str,
    filled: Mapping[str, str] | None = None,
    resolve: render.LinkResolver | None = None,
) -> Reply:
    """Render the reply of an article on a channel.

    Args:
        article: the article.
        channel_key: key of a channel of ``channels.yml``.
        context: organisation, services and channels.
        url: stable address of the article's page; empty for an article that has none, and the link line is left out.
        filled: what the agent typed for the placeholders of ``FILLED_BY_AGENT``.
        resolve: see ``render.to_html``.

    Raises:
        UnknownChannel: there is no such channel.
        TemplateError: a placeholder of the article is not valid (the library leaves such articles out).
    """
    target = channel(context, channel_key)
    values = values_for(article, context, url, filled)
    override = article.meta.channels.get(channel_key, "")
    lead, short = article.lead or article.title, article.meta.short
    if override:
        return _laid_out(override, "override", target, values, resolve)
    if target.prefer == "short" and short:
        return _laid_out(short, "short", target, values, resolve)
    reply = _laid_out(lead, "lead", target, values, resolve)
    return _laid_out(short, "short", target, values, resolve) if reply.over_limit and short else reply


def _laid_out(body: str, origin: Origin, target: Channel, values: Mapping[str, str], resolve: render.LinkResolver | None) -> Reply:
    filled_body = render.fill(body, values)
    missing = list(filled_body.missing)
    texts: list[str] = []
    htmls: list[str] = []
    layout = target.layout
    for name in ("greeting", "opening", "body", "link", "closing", "signature"):
        if name == "body":
            texts.append(render.to_plain(filled_body.markdown, resolve))
            htmls.append(render.to_html(filled_body.markdown, resolve))
            continue
        part = getattr(layout, name)
        if not part or (name == "link" and not values["article.url"]):
            continue
        filled_part = render.fill(part, values, escape=False)
        missing += filled_part.missing
        texts.append(render.show_missing(filled_part.markdown))
        htmls.append(render.plain_to_html(filled_part.markdown))
    # A channel with a limit is read on a phone: one line break there, a blank line elsewhere.
    text = ("\n" if target.prefer == "short" else "\n\n").join(part for part in texts if part)
    return Reply(
        channel=target.key,
        text=text,
        html="\n".join(part for part in htmls if part),
        missing=tuple(dict.fromkeys(missing)),
        length=len(text),
        limit_chars=target.limit_chars,
        origin=origin,
    )
