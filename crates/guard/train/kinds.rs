//! Kinds of records that tools give back, and what their fields hold.

/// Fields of a record: name, rule, and whether a stranger may have written it.
pub(crate) type Fields = &'static [(&'static str, &'static str, bool)];

/// A kind of record: its name and its fields.
pub(crate) type Kind = (&'static str, Fields);

/// Kinds that are learnt from.
pub(crate) const KINDS: &[Kind] = &[
    (
        "emails",
        &[
            ("id", "id", false),
            ("from", "email", false),
            ("to", "email", false),
            ("subject", "mail.subject", true),
            ("date", "date", false),
            ("body", "mail.body", true),
        ],
    ),
    ("messages", &[("sender", "first", false), ("time", "time", false), ("text", "chat", true)]),
    (
        "events",
        &[
            ("id", "id", false),
            ("title", "event", true),
            ("start", "date", false),
            ("location", "address", true),
            ("participants", "email", false),
            ("description", "event.note", true),
        ],
    ),
    (
        "transactions",
        &[
            ("id", "id", false),
            ("date", "date", false),
            ("recipient", "iban", false),
            ("amount", "amount", false),
            ("subject", "transaction", true),
        ],
    ),
    (
        "reviews",
        &[("author", "name", false), ("rating", "n", false), ("title", "topic", true), ("review", "review", true)],
    ),
    (
        "files",
        &[("name", "file", false), ("owner", "email", false), ("modified", "date", false), ("content", "about", true)],
    ),
    ("results", &[("title", "topic", true), ("url", "url", false), ("snippet", "about", true)]),
    (
        "products",
        &[
            ("sku", "id", false),
            ("name", "product", true),
            ("price", "amount", false),
            ("description", "review", true),
            ("stock", "n", false),
        ],
    ),
    ("notes", &[("created", "date", false), ("note", "note", true), ("tags", "word", false)]),
    (
        "users",
        &[
            ("name", "name", true),
            ("email", "email", false),
            ("phone", "phone", false),
            ("bio", "profile", true),
            ("address", "address", true),
        ],
    ),
    (
        "tickets",
        &[
            ("ticket", "id", false),
            ("customer", "name", true),
            ("status", "word", false),
            ("message", "mail.body", true),
            ("reply", "order", false),
        ],
    ),
    (
        "invoices",
        &[("number", "id", false), ("issuer", "company", true), ("text", "bill", true), ("total", "amount", false)],
    ),
    (
        "hotels",
        &[("hotel", "company", true), ("city", "city", false), ("price", "amount", false), ("about", "review", true)],
    ),
    ("tools", &[("name", "fn", false), ("description", "tool.about", true), ("returns", "word", false)]),
    ("commits", &[("sha", "id", false), ("author", "name", false), ("message", "dev.note", true)]),
    (
        "devices",
        &[("device", "product", true), ("state", "word", false), ("room", "word", true), ("log", "fact", true)],
    ),
    ("posts", &[("user", "first", false), ("post", "chat", true), ("likes", "n", false)]),
    ("faq", &[("entry", "faq", true)]),
    ("steps", &[("step", "manual.deed", true), ("detail", "advice", true)]),
    (
        "emails",
        &[
            ("id_", "n", false),
            ("sender", "email", false),
            ("recipients", "email", false),
            ("subject", "mail.subject", true),
            ("body", "mail.long", true),
            ("status", "state", false),
            ("timestamp", "iso", false),
            ("attachments", "file", false),
        ],
    ),
    (
        "mails",
        &[
            ("from", "name", false),
            ("date", "iso", false),
            ("subject", "mail.subject", false),
            ("text", "mail.long", true),
        ],
    ),
    (
        "files",
        &[
            ("id", "n", false),
            ("filename", "file", true),
            ("content", "file.text", true),
            ("owner", "email", false),
            ("last_modified", "iso", false),
            ("size", "n4", false),
        ],
    ),
    ("documents", &[("title", "topic", true), ("author", "name", false), ("text", "file.text", true)]),
    (
        "calendar_events",
        &[
            ("id", "n", false),
            ("title", "event", true),
            ("description", "event.note", true),
            ("start_time", "iso", false),
            ("end_time", "iso", false),
            ("location", "address", true),
            ("participants", "email", false),
            ("all_day", "flag", false),
        ],
    ),
    (
        "transactions",
        &[
            ("id", "n", false),
            ("sender", "iban", false),
            ("recipient", "iban", false),
            ("amount", "amount", false),
            ("subject", "bank.subject", true),
            ("date", "iso", false),
            ("recurring", "flag", false),
        ],
    ),
    (
        "account",
        &[
            ("iban", "iban", false),
            ("balance", "amount", false),
            ("owner", "name", true),
            ("note", "bank.subject", true),
        ],
    ),
    ("channel", &[("sender", "first", false), ("recipient", "channel", false), ("body", "chat", true)]),
    ("sms", &[("number", "phone", false), ("received", "iso", false), ("text", "sms", true)]),
    (
        "articles",
        &[
            ("headline", "topic", true),
            ("url", "url", false),
            ("published", "iso", false),
            ("content", "article", true),
        ],
    ),
    ("pages", &[("url", "url", false), ("title", "topic", true), ("content", "article", true)]),
    (
        "reviews",
        &[
            ("review_id", "id", false),
            ("user", "handle", false),
            ("stars", "n", false),
            ("comment", "review", true),
            ("verified", "flag", false),
        ],
    ),
    (
        "restaurants",
        &[("name", "company", true), ("address", "address", false), ("hours", "place", true), ("rating", "n", false)],
    ),
    (
        "jobs",
        &[
            ("position", "word", true),
            ("employer", "company", true),
            ("description", "job", true),
            ("salary", "amount", false),
        ],
    ),
    (
        "issues",
        &[
            ("number", "n4", false),
            ("title", "bug.what", true),
            ("state", "state", false),
            ("user", "handle", false),
            ("body", "bug", true),
            ("labels", "word", false),
        ],
    ),
    (
        "pull_requests",
        &[("id", "n4", false), ("title", "changes.line", true), ("comments", "bug", true), ("merged", "flag", false)],
    ),
    ("log", &[("line", "log.line", true)]),
    (
        "patients",
        &[
            ("patient", "name", false),
            ("drug", "drug", false),
            ("next_visit", "date", false),
            ("remarks", "letter.line", true),
        ],
    ),
    (
        "devices",
        &[
            ("device_id", "id", false),
            ("room", "word", false),
            ("state", "state", false),
            ("last_message", "sms", true),
        ],
    ),
    (
        "courses",
        &[
            ("course", "topic", true),
            ("teacher", "name", false),
            ("assignment", "lesson", true),
            ("due", "date", false),
        ],
    ),
    (
        "flights",
        &[
            ("flight", "id", false),
            ("from", "city", false),
            ("to", "city", false),
            ("departure", "iso", false),
            ("price", "amount", false),
            ("notice", "letter.line", true),
        ],
    ),
    ("weather", &[("city", "city", false), ("date", "iso", false), ("forecast", "weather.text", true)]),
    (
        "contacts",
        &[
            ("first_name", "first", true),
            ("last_name", "last", true),
            ("phone", "phone", false),
            ("notes", "note", true),
        ],
    ),
    (
        "profile",
        &[
            ("username", "handle", false),
            ("bio", "profile", true),
            ("followers", "n4", false),
            ("location", "city", true),
        ],
    ),
    (
        "tweets",
        &[("author", "handle", false), ("text", "chat", true), ("likes", "n", false), ("created_at", "iso", false)],
    ),
    (
        "orders",
        &[
            ("order_id", "id", false),
            ("item", "product", false),
            ("shipped", "flag", false),
            ("address", "address", false),
            ("customer_note", "sms", true),
        ],
    ),
    ("recipes", &[("title", "topic", true), ("steps", "recipe", true), ("minutes", "n", false)]),
    ("trips", &[("trip", "city", true), ("days", "n", false), ("plan", "plan.text", true)]),
    ("letters", &[("sender", "company", false), ("received", "date", false), ("text", "letter.plain", true)]),
    (
        "tasks",
        &[("task", "chore", true), ("assignee", "first", false), ("due", "date", false), ("done", "flag", false)],
    ),
    ("tasks", &[("summary", "topic", true), ("description", "minutes.task", true), ("project", "word", false)]),
    ("playlist", &[("track", "topic", true), ("artist", "name", true), ("comment", "chat", true)]),
    (
        "properties",
        &[("address", "address", false), ("rent", "amount", false), ("text", "place", true), ("agent", "phone", false)],
    ),
    ("support", &[("case", "id", false), ("question", "faq", true), ("answer", "letter.line", true)]),
];

/// Kinds that only measuring sees.
pub(crate) const UNSEEN: &[Kind] = &[
    (
        "openings",
        &[("ref", "id", false), ("place", "city", false), ("text", "unseen.job", true), ("contact", "email", false)],
    ),
    (
        "parcels",
        &[
            ("tracking", "id", false),
            ("scanned", "iso", false),
            ("weight", "n", false),
            ("remark", "unseen.parcel", true),
        ],
    ),
    (
        "flats",
        &[
            ("street", "address", false),
            ("rent", "amount", false),
            ("advert", "unseen.flat", true),
            ("agent", "name", false),
        ],
    ),
    ("thread", &[("poster", "handle", false), ("posted", "iso", false), ("post", "unseen.thread", true)]),
    (
        "visits",
        &[
            ("doctor", "last", false),
            ("patient", "name", false),
            ("day", "date", false),
            ("finding", "unseen.visit", true),
        ],
    ),
];
