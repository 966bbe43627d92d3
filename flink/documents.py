"""Build the documents of an admitted session. Pure functions, without Flink."""

from datetime import UTC, datetime
from typing import NamedTuple

from flink.sentiment import compound_score, max_words_per_review, sentiment_label
from include.contracts.index_documents import Document, PartOfDay, ProductDetails, ProductSentiment, SessionSummary
from include.contracts.session import ValidSession

SATURDAY = 6
HOURS_PER_PART = 6
PARTS_OF_DAY: tuple[PartOfDay, ...] = ("night", "morning", "afternoon", "evening")


class IndexedDocument(NamedTuple):
    """A document with its alias and its id, which is unique within the alias."""

    alias: str
    id: str
    document: Document


def part_of_day(hour: int) -> PartOfDay:
    """Return the quarter of the day: night 0-5, morning 6-11, afternoon 12-17, evening 18-23."""
    return PARTS_OF_DAY[hour // HOURS_PER_PART]


def build_documents(session: ValidSession) -> list[IndexedDocument]:
    """Return the summary, then for each view its details and, if it has a review, its sentiment."""
    started, received = session.started_at.astimezone(UTC), session.received_at.astimezone(UTC)
    documents = [IndexedDocument("session_summary", session.document_id, _summary(session, started))]
    max_words = max_words_per_review(sum(1 for view in session.views if view.review))
    for position, view in enumerate(session.views):
        document_id = f"{session.document_id}:{position}"
        # Because replayed logs have no product names, fall back to the id.
        name = view.name or view.product_id
        details = ProductDetails(
            session_id=session.session_id,
            user_id=session.user_id,
            started_at=started,
            received_at=received,
            position=position,
            product_id=view.product_id,
            name=name,
            category=view.category,
            price=view.price,
            seconds=view.seconds,
            device_type=session.device.type,
            country=session.location.country,
            referrer=session.referrer,
            last_action=session.last_action,
            purchase_made=session.purchase.made,
        )
        documents.append(IndexedDocument("product_details", document_id, details))
        if view.review:
            score = compound_score(view.review, max_words)
            sentiment = ProductSentiment(
                session_id=session.session_id,
                user_id=session.user_id,
                started_at=started,
                received_at=received,
                position=position,
                product_id=view.product_id,
                name=name,
                category=view.category,
                review=view.review,
                label=sentiment_label(score),
                score=score,
            )
            documents.append(IndexedDocument("product_sentiment", document_id, sentiment))
    return documents


def _summary(session: ValidSession, started: datetime) -> SessionSummary:
    day_of_week = started.isoweekday()
    return SessionSummary(
        session_id=session.session_id,
        user_id=session.user_id,
        started_at=started,
        ended_at=session.ended_at.astimezone(UTC),
        received_at=session.received_at.astimezone(UTC),
        duration_s=session.duration_s,
        gender=session.gender,
        returning=session.returning,
        network=session.network,
        device_type=session.device.type,
        device_os=session.device.os,
        device_browser=session.device.browser,
        country=session.location.country,
        state=session.location.state,
        city=session.location.city,
        zip=session.location.zip,
        referrer=session.referrer,
        page_views=session.page_views,
        clicks=session.clicks,
        viewed_products=[view.product_id for view in session.views],
        categories=session.categories,
        last_action=session.last_action,
        exit_page=session.exit_page,
        purchase_made=session.purchase.made,
        purchase_amount=session.purchase.amount,
        payment=session.purchase.payment,
        hour_of_day=started.hour,
        day_of_week=day_of_week,
        is_weekend=day_of_week >= SATURDAY,
        month=started.month,
        week_of_year=started.isocalendar().week,
        part_of_day=part_of_day(started.hour),
    )
