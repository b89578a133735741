"""The whole of it: a folder of files becomes a configuration whose silver tables are those of one written by hand."""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pytest

from pipelines._entry import CONF, CONFIG_DIRS_VARIABLE, load_settings
from pipelines.onboard import main
from spanishgas.config import DataSettings, DemoSettings, EngineSettings, TrackingSettings
from spanishgas.engine.session import open_engine
from spanishgas.onboarding import load_layouts, look, propose, render
from tests.support import RawWorld, demo_data, demo_world, silver_of

REAL = Path(os.environ.get("SPANISHGAS_REAL_DATA", "datasets"))
ENGINE = EngineSettings(threads=1)
Onboard = Callable[..., int]


@pytest.fixture(autouse=True)
def own_folders(monkeypatch: pytest.MonkeyPatch) -> None:
    """Folders of options that a test adds are gone after it."""
    monkeypatch.setenv(CONFIG_DIRS_VARIABLE, "")


@pytest.fixture
def onboard(tmp_path: Path, tracking: TrackingSettings) -> Onboard:
    """Runs the command on the test's folder `raw`, into its folder `conf`."""

    def call(*overrides: str) -> int:
        place = (f"raw={tmp_path / 'raw'}", f"into={tmp_path / 'conf'}", "name=mine")
        return main([*place, f"tracking.uri={tracking.uri}", f"tracking.artifacts={tracking.artifacts}", *overrides])

    return call


def read_by(folder: Path, data: str, root: Path) -> DataSettings:
    """A data set whose option lies in a folder of options."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(CONFIG_DIRS_VARIABLE, str(folder))
        return load_settings((f"data={data}", f"data_root={root}")).data


@contextmanager
def silver_tables(data: DataSettings, target: Path) -> Iterator[Mapping[str, pd.DataFrame]]:
    """The silver tables of a data set; a quarantined row is kept as the file has it, so its text is left out."""
    with open_engine(ENGINE, target / "scratch") as engine:
        tables = silver_of(engine, data, target / "landed").tables
        frames = {name: engine.frame(table) for name, table in tables.items()}
    frames["quarantine"] = frames["quarantine"][["source", "source_line", "reason", "energy_kwh"]]
    yield {name: frame.sort_values([*frame.columns], ignore_index=True) for name, frame in frames.items()}


def assert_same_silver(one: DataSettings, other: DataSettings, folder: Path) -> None:
    with silver_tables(one, folder / "one") as left, silver_tables(other, folder / "other") as right:
        assert set(left) == set(right)
        for name, frame in left.items():
            pd.testing.assert_frame_equal(frame, right[name], obj=name)
        assert len(left["quality"]) > 0


# Columns of the demo's files as a Spanish retailer has them; what is in a file's name is up to the retailer too.
SPANISH = {
    "churn_label": ("BAJAS_2024.csv", "cod_cliente baja fecha_baja motivo_baja fec_registro"),
    "customer_attributes": (
        "maestro clientes.csv",
        "CodCliente PotenciaContratada EsIndustrial SegundaResidencia CodProvincia CCAA AltaCompetencia Urbano "
        "CanalVenta BonoSocial ConsentMarketing ConsentTelefono FechaRegistro",
    ),
    "customer_contracts": (
        "ctos.txt",
        "ID_CLI FEC_ALTA FEC_INI_CTO FEC_ULT_CAMBIO_PROD FEC_RENOVACION",
    ),
    "price_history": (
        "tarifas.csv",
        "cliente mes precio_punta precio_llano precio_valle cuota_fija_luz_mes coste_fijo_luz_mes precio_gas_m3 "
        "ingreso_fijo_gas_ano coste_fijo_gas_ano",
    ),
    "costs_by_province_month": ("costes.csv", "provincia mes coste_energia_kwh coste_gas_m3 peaje"),
    "retention_offers": ("camp.csv", "campana id_cliente fecha_oferta canal accion ventana probabilidad aceptada"),
}
WORDS = {
    "reason": {"switch": "Cambio de comercializadora", "move_out": "Mudanza"},
    "action": {"none": "Ninguna", "small": "Pequeña", "medium": "Mediana", "large": "Grande"},
}


def in_spanish(source: str, frame: pd.DataFrame) -> pd.DataFrame:
    """A table with other names and order of columns, days as 31/12/2024, decimal commas, and words for codes."""
    told = frame.copy()
    for name in told.columns:
        if name.endswith("date") or name in ("month", "recorded_at"):
            days = pd.to_datetime(told[name])
            told[name] = days.dt.strftime("%d/%m/%Y").where(days.notna(), None)
        elif name.startswith("is_") or name.endswith("consent"):
            told[name] = told[name].astype(bool).map({True: "S", False: "N"})
        elif name in WORDS:
            told[name] = told[name].replace(WORDS[name])
    told.columns = pd.Index(SPANISH[source][1].split()[: len(told.columns)])
    return told[told.columns[::-1]]


def write_in_spanish(world: RawWorld, folder: Path) -> None:
    folder.mkdir()
    for source, frame in world.tables.items():
        in_spanish(source, frame).to_csv(
            folder / SPANISH[source][0], index=False, sep=";", decimal=",", encoding="cp1252"
        )
    contacts = [
        {"cliente": record["customer"].get("id"), "contacto": {
            "fecha": record["interaction"].get("date"), "canal": record["interaction"].get("channel"),
            "nota": record["interaction"].get("summary"),
        }}
        for record in world.interactions
    ]  # fmt: skip
    (folder / "llamadas.json").write_text(json.dumps(contacts, ensure_ascii=False))
    hourly = world.hourly.to_pandas()
    hourly["timestamp"] = hourly["timestamp"].astype(str).str.replace(r"(\d{4})-(\d\d)-(\d\d)", r"\3/\2/\1", regex=True)
    hourly["is_estimated"] = hourly["is_estimated"].map({True: "E", False: "R"})
    hourly.columns = pd.Index(["cliente", "fecha_hora", "consumo_kwh", "gas_m3", "tipo_lectura", "fecha_carga"])
    hourly.to_csv(folder / "curvas.csv", index=False, sep=";", decimal=",")


@pytest.mark.drill
def test_the_demo_s_files_in_spanish_are_read_as_they_are_in_english(tmp_path: Path) -> None:
    settings = load_settings(("data.customers=25", "data.end=2024-03-31", "data.churn_rate_90d=0.3")).data
    assert isinstance(settings, DemoSettings)
    world = demo_world(settings)
    # One month of one customer without a price, as the retailer's billing system writes it.
    prices = world.tables["price_history"]
    of_one = prices.index[prices["customer_id"] == prices["customer_id"].mode()[0]]
    prices.loc[of_one[0], [name for name in prices.columns if name.startswith("variable_price")]] = 0.0
    world.write(tmp_path / "english" / "raw")
    write_in_spanish(world, tmp_path / "spanish")
    english = demo_data(tmp_path / "english")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    with open_engine(ENGINE, scratch / "engine") as engine:
        looked = look(engine, tmp_path / "spanish", scratch)
    proposal = propose("mine", looked, load_layouts([CONF / "layouts"]), english.run_date)
    assert proposal.blocking() == []
    assert proposal.unread == {}
    (tmp_path / "conf" / "data").mkdir(parents=True)
    (tmp_path / "conf" / "data" / "mine.yaml").write_text(render(proposal, tmp_path / "spanish"))
    spanish = read_by(tmp_path / "conf", "mine", tmp_path / "data")
    assert_same_silver(english, spanish, tmp_path)


def datadis(cups: str, days: list[str], factor: float) -> str:
    """A download of Datadis: hours by their end, decimal commas."""
    rows = [
        f"{cups};{day};{hour:02d}:00;{factor * hour:.3f}".replace(".", ",")
        + f";{'Estimada' if hour == 3 else 'Real'};0"
        for day in days
        for hour in range(1, 25)
    ]
    return "\n".join(["\ufeffcups;fecha;hora;consumo_kWh;metodoObtencion;energiaVertida_kWh", *rows]) + "\n"


BY_HAND = """
kind: files
name: hand
root: ${{data_root}}/hand
raw: {raw}
run_date: 2024-05-20
as_of: 2024-04-30
sources:
  churn_label: {{absent: none}}
  customer_attributes: {{absent: none}}
  customer_contracts: {{absent: none}}
  price_history: {{absent: none}}
  costs_by_province_month: {{absent: none}}
  customer_interactions: {{absent: none}}
  consumption_hourly:
    stamp: end
    parts:
      - files: '*.csv'
        columns:
          customer_id: cups
          timestamp: fecha
          time: hora
          consumption_elec_kwh: consumo_kWh
          is_estimated: {{column: metodoObtencion, codes: {{Real: 'false', Estimada: 'true'}}}}
"""


@pytest.mark.drill
def test_a_folder_of_datadis_files_is_onboarded_in_one_command(tmp_path: Path, onboard: Onboard) -> None:
    raw = tmp_path / "raw"
    raw.mkdir()
    for number in (1, 2, 3):
        days = [f"2024/05/{day:02d}" for day in range(number, 6)]
        (raw / f"consumos {number}.csv").write_text(
            datadis(f"ES003140500000000{number}JN", days, 0.1 * number), "utf-8"
        )
    assert onboard() == 0
    proposed = read_by(tmp_path / "conf", "mine", tmp_path / "data")
    assert str(proposed.run_date) == "2024-05-06"
    hand = tmp_path / "hand" / "data"
    hand.mkdir(parents=True)
    (hand / "hand.yaml").write_text(BY_HAND.format(raw=raw))
    assert_same_silver(read_by(hand.parent, "hand", tmp_path / "data"), proposed, tmp_path)
    # Answers that somebody wrote into the file are not written over.
    file = tmp_path / "conf" / "data" / "mine.yaml"
    file.write_text(f"{file.read_text()}# mine\n")
    assert onboard() == 2
    assert file.read_text().endswith("# mine\n")


@pytest.mark.skipif(not (REAL / "powerco").is_dir(), reason="SPANISHGAS_REAL_DATA has no powerco")
def test_powerco_s_files_give_the_configuration_that_was_written_by_hand(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    raw.mkdir()
    # Under names of their own, and one of them as CSV.
    (raw / "precios.parquet").symlink_to((REAL / "powerco" / "price_data.parquet").resolve())
    pd.read_parquet(REAL / "powerco" / "client_data.parquet").head(500).to_csv(raw / "clients.csv", index=False)
    (tmp_path / "conf" / "data").mkdir(parents=True)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    with open_engine(ENGINE, scratch / "engine") as engine:
        proposal = propose("mine", look(engine, raw, scratch), load_layouts([CONF / "layouts"]))
    (tmp_path / "conf" / "data" / "mine.yaml").write_text(render(proposal, raw))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(CONFIG_DIRS_VARIABLE, str(tmp_path / "conf"))
        mine = load_settings(("data=mine",))
    hand = load_settings(("data=powerco",))
    told = (
        mine.model_dump_json()
        .replace("clients.csv", "client_data.parquet")
        .replace("precios.parquet", "price_data.parquet")
    )
    left, right = json.loads(told), json.loads(hand.model_dump_json())
    for name in ("raw", "root", "name"):
        left["data"].pop(name), right["data"].pop(name)
    assert left == right


def test_what_is_unsure_stands_in_comments_and_nothing_is_run(
    tmp_path: Path, onboard: Onboard, capsys: pytest.CaptureFixture[str]
) -> None:
    raw = tmp_path / "raw"
    raw.mkdir()
    rows = [f"C{number};2024-0{number + 1}-15;2024-0{number + 1}-15;2025-01-01" for number in range(8)]
    (raw / "contratos.csv").write_text(
        "\n".join(["cod_cliente;fecha_inicio;inicio_contrato;fin_contrato", *rows]) + "\n"
    )
    assert onboard() == 2
    text = (tmp_path / "conf" / "data" / "mine.yaml").read_text()
    assert "          # contract_start_date: " in text
    assert "          # ? is `" in text
    assert "          customer_id: cod_cliente" in text
    told = capsys.readouterr().err
    assert "contract_start_date" in told
    assert "ingest" not in told.replace("run `ingest`", "")


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (("name=powerco",), "is the name of a data set of this project"),
        (("raw=nowhere",), "there is no such folder"),
        (("raw=null",), "needs a folder and a name"),
    ],
)
def test_commands_that_cannot_be(
    tmp_path: Path, onboard: Onboard, capsys: pytest.CaptureFixture[str], overrides: tuple[str, ...], message: str
) -> None:
    (tmp_path / "raw").mkdir()
    assert onboard(*overrides) in (1, 2)
    assert message in capsys.readouterr().err
