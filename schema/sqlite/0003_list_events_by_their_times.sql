-- The list for guests: upcoming events first, then those without a date, then past ones. A row that is only booked at
-- is in the same place of both indexes as before, so that bookings pay for neither.

-- serves the upcoming events, which have no end before now, and the past ones, latest first
CREATE INDEX events_latest_end_first ON events (coalesce(ends_at, starts_at) DESC, id);

-- serves the events without a date, newest first
CREATE INDEX events_undated_newest_first ON events (opened_at DESC, id) WHERE starts_at IS NULL;
