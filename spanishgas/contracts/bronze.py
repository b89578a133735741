"""Contracts of what landing tells: which raw files came in, and the rows in them that cannot be parsed."""

from spanishgas.contracts.base import Column, Contract, KnownAt

REJECTED_ROW = (
    Column(name="source", type="string", description="Source contract."),
    Column(name="source_file", type="string", description="Name of the raw file.", personal="free"),
    Column(name="source_line", type="int", description="Row within the file's data, from 1."),
    Column(name="reason", type="string", description="Stable code of the reason, e.g. `missing_customer_id`."),
    Column(name="detail", type="string", description="What was wrong, in words.", nullable=True, personal="free"),
    Column(
        name="row", type="string", description="The row: JSON text, or the raw line.", nullable=True, personal="free"
    ),
)

REJECTS = Contract(
    name="rejects",
    layer="bronze",
    version=1,
    grain="unreadable row x reason",
    description="Raw rows that cannot be parsed at all. They reach the quarantine from here.",
    primary_key=("source", "source_file", "source_line", "reason"),
    event_time=None,
    known_at=KnownAt(column=None),
    partition="run_date",
    columns=REJECTED_ROW,
)

INGESTION_LOG = Contract(
    name="ingestion_log",
    layer="bronze",
    version=3,
    grain="run_date x raw file",
    description="Every landed raw file: size, hash, rows, inferred schema, differences to the contract.",
    primary_key=("run_date", "dataset", "part", "source_file"),
    event_time=None,
    known_at=KnownAt(column=None),
    partition="run_date",
    columns=(
        Column(name="run_date", type="string", description="Day of the ingestion, ISO 8601."),
        Column(name="dataset", type="string", description="Source contract, or `customer_extras_<n>`."),
        Column(name="part", type="int", description="Part of the source's configuration, from 0.", minimum=0),
        Column(
            name="source_file",
            type="string",
            description="Name of the raw file, with the member of an archive.",
            personal="free",
        ),
        Column(
            name="format",
            type="string",
            description="How it was read.",
            domain=("csv", "json", "parquet", "excel", "sql"),
        ),
        Column(name="bytes", type="int", unit="bytes", description="Size of the raw file.", minimum=0),
        Column(name="sha256", type="string", description="Digest of its bytes; of its rows where it is a database."),
        Column(name="rows", type="int", unit="rows", description="Rows landed.", minimum=0),
        Column(name="rejected", type="int", unit="rows", description="Rows that cannot be parsed.", minimum=0),
        Column(name="schema", type="string", description="JSON object: raw column -> inferred type."),
        Column(name="differences", type="string", description="JSON list of differences to the contract."),
        Column(
            name="faults",
            type="string",
            description="JSON list of what is wrong with the file as a whole: `reason` (`cut_off`: in the middle of a "
            "row, in zeros, or where a spreadsheet ends; `no_rows`), `line`, `detail`.",
        ),
        Column(name="notes", type="string", description="JSON object: how the file had to be read."),
        Column(name="contract_version", type="int", description="Version of the contract it was compared with."),
        Column(
            name="first_seen",
            type="string",
            description="Day on which a file with these contents was first landed, ISO 8601; `run_date` for a new one.",
        ),
    ),
)

BRONZE_TABLES: tuple[Contract, ...] = (REJECTS, INGESTION_LOG)
