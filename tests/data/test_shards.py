"""Shards and tables as domains: the same pictures, in an order that survives restarts."""

import io
import pickle
import tarfile
from dataclasses import replace
from itertools import islice, pairwise
from pathlib import Path

import fsspec
import numpy as np
import pytest
import torch
from PIL import Image

import unpaired.data.packed as packed
import unpaired.data.remote as remote
import unpaired.data.streams as streams
from tests.data.servers import served
from tests.extras import need
from tests.training.runs import tiny_config, write_pictures
from unpaired.data.batches import Batches
from unpaired.data.datasets import open_dataset
from unpaired.data.decode import read_picture
from unpaired.data.fingerprint import fingerprint
from unpaired.data.images import ImageConfig
from unpaired.data.order import picture_at
from unpaired.data.remote import expand
from unpaired.data.shards import DamagedShard, index, open_shard, read
from unpaired.errors import UserError
from unpaired.training.run import train
from unpaired.training.schedule import ScheduleConfig


@pytest.fixture(autouse=True)
def quick(tmp_path, monkeypatch):
    monkeypatch.setenv("UNPAIRED_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(remote.time, "sleep", lambda seconds: None)
    monkeypatch.setattr(streams, "BLOCK_PICTURES", 4)


def write_shards(folder: Path, pictures: int = 24, per_shard: int = 8, seed: int = 0) -> Path:
    """s-0.tar, s-1.tar, ... in `folder`, beside `files` with the same pictures."""
    files = sorted(write_pictures(folder / "files", pictures, seed).iterdir())
    for number in range(0, pictures, per_shard):
        with tarfile.open(folder / f"s-{number // per_shard}.tar", "w") as archive:
            for file in files[number : number + per_shard]:
                archive.add(file, file.name)
                archive.addfile(*member(file.stem + ".pkl", pickle.dumps({"a": 1})))
    return folder


def member(name: str, content: bytes):
    info = tarfile.TarInfo(name)
    info.size = len(content)
    return info, io.BytesIO(content)


def at(root: str, stream: str = "") -> str:
    return f"{root}/s-{{0..2}}.tar{stream}"


def take(data, start: int = 0, count: int = 20, **options) -> list[dict[str, torch.Tensor]]:
    settings = {"size": 16, "batch": 2, "seed": 5, "cache_share": 0.0, **options}
    batches = Batches(data.train_x, data.train_y, ImageConfig(), **settings)
    made = batches.from_step(start)
    try:
        return list(islice(made, count))
    finally:
        made.close()


def same(a, b) -> bool:
    return all(torch.equal(p[k], q[k]) for p, q in zip(a, b, strict=True) for k in ("x", "y"))


def test_braces_are_spelt_out_in_order():
    assert expand("a-{008..011}.tar") == [f"a-0{i}.tar" for i in ("08", "09", "10", "11")]
    assert expand("{x,y}/{1..2}.tar") == ["x/1.tar", "x/2.tar", "y/1.tar", "y/2.tar"]
    for wrong, why in {
        "{a}": "is no range",
        "{3..1}": "from 3 down to 1",
        "{0..99999999}": "over 1,000,000 names",
        "{0..999999}{0..999999}": "over 1,000,000 names",
        "{0..%s}" % ("9" * 5000): "is no range",
    }.items():
        with pytest.raises(UserError, match=why):
            expand(f"{wrong}.tar")


def test_an_index_says_where_each_picture_lies_and_passes_over_the_rest(tmp_path):
    write_shards(tmp_path)
    entries = index(str(tmp_path / "s-0.tar"))
    assert [entry.name for entry in entries] == [f"{i:02}.png" for i in range(8)]
    for entry in entries:
        assert read(entry) == (tmp_path / "files" / entry.name).read_bytes()


def test_links_devices_hidden_and_pickled_members_are_no_pictures(tmp_path):
    canary = tmp_path / "ran"
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for kind, name in ((tarfile.SYMTYPE, "link.png"), (tarfile.CHRTYPE, "device.png")):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc/passwd"
            archive.addfile(info)
        evil = f"cos\nsystem\n(S'touch {canary}'\ntR.".encode()
        for name in ("x.pkl", "x.pyd", ".hidden.png", "._x.png", "__key__"):
            archive.addfile(*member(name, evil))
        archive.addfile(*member("../../outside.png", evil))
    (entry,) = index(str(tmp_path / "a.tar"))
    assert entry.name == "../../outside.png"  # a name, never a place
    assert not canary.exists()
    assert not (tmp_path.parent / "outside.png").exists()


def test_shards_of_webdataset_s_own_writer_are_read(tmp_path):
    webdataset = need("webdataset")
    pictures = [np.full((20, 20, 3), 9 * i, np.uint8) for i in range(6)]
    with webdataset.ShardWriter(str(tmp_path / "w-%03d.tar"), maxcount=3, verbose=0) as writer:
        for number, pixels in enumerate(pictures):
            writer.write({"__key__": f"{number:04}", "png": pixels, "json": {"n": number}})
    x = open_dataset(
        x=f"{tmp_path}/w-{{000..001}}.tar", y=write_pictures(tmp_path / "y", 3, 1)
    ).train_x
    assert x.names == tuple(f"w-00{i // 3}.tar/{i:04}.png" for i in range(6))
    assert [int(x.read(i)[0, 0, 0]) for i in range(6)] == [9 * i for i in range(6)]


@pytest.fixture(params=["disk", "memory", "ranges", "no ranges", "packed", "asked for"])
def spec(request, tmp_path):
    """Shards in every kind of place, and whether they are a stream there."""
    write_shards(tmp_path / "x")
    if request.param == "disk":
        yield at(str(tmp_path / "x")), False
    elif request.param == "asked for":
        yield at(str(tmp_path / "x"), "#stream"), True
    elif request.param == "memory":
        files = fsspec.filesystem("memory")
        for shard in (tmp_path / "x").glob("*.tar"):
            files.pipe(f"/{tmp_path.name}/{shard.name}", shard.read_bytes())
        yield at(f"memory://{tmp_path.name}"), False
    elif request.param == "packed":
        import gzip

        for shard in (tmp_path / "x").glob("*.tar"):
            Path(f"{shard}.gz").write_bytes(gzip.compress(shard.read_bytes()))
        yield at(str(tmp_path / "x")) + ".gz", True
    else:
        with served(tmp_path / "x", ranges=request.param == "ranges") as (address, _):
            yield at(address), request.param != "ranges"


def test_wherever_shards_lie_they_give_their_pictures_in_a_fixed_order(spec, tmp_path):
    where, streamed = spec
    y = write_pictures(tmp_path / "y", 9, 1)
    data = open_dataset(x=where, y=y)
    x = data.train_x
    assert (x.arrival is not None) == streamed
    names = {*x.names, *data.test_x.names}
    assert len(names) == 24
    for number, name in enumerate(x.names):
        file = tmp_path / "x" / "files" / name.split("/")[-1]
        assert np.array_equal(x.read(number), read_picture(file).pixels)
    whole = take(data)
    again = open_dataset(x=where, y=y)
    assert same(whole[7:], take(again, start=7, count=13))
    assert same(whole, take(again, cache_share=0.25))
    assert fingerprint(data) == fingerprint(again)


def test_ranks_and_workers_see_what_one_process_sees(tmp_path):
    write_shards(tmp_path / "x")
    y = write_pictures(tmp_path / "y", 9, 1)
    for stream in ("", "#stream"):
        data = open_dataset(x=at(str(tmp_path / "x"), stream), y=y)
        whole = take(data, batch=4, count=6)
        ranks = [take(data, batch=2, count=6, rank=rank, ranks=2) for rank in (0, 1)]
        for one, first, second in zip(whole, *ranks, strict=True):
            assert torch.equal(one["x"], torch.cat([first["x"], second["x"]]))
        if stream:
            assert same(whole, take(data, batch=4, count=6, workers=1))


def test_a_stream_is_mixed_by_blocks_and_every_picture_comes_once(tmp_path):
    write_shards(tmp_path / "x")
    data = open_dataset(
        x=at(str(tmp_path / "x"), "#stream"), y=write_pictures(tmp_path / "y", 3, 1)
    )
    count, arrival = len(data.train_x), data.train_x.arrival
    for epoch in (0, 1):
        seen = [picture_at(0, "x", epoch, i, count, arrival) for i in range(count)]
        assert sorted(seen) == list(range(count))
        blocks = [int(arrival.block[i]) for i in seen]
        changes = sum(a != b for a, b in pairwise(blocks))
        assert changes == len(set(blocks)) - 1  # each is read once
    orders = {
        tuple(picture_at(0, "x", e, i, count, arrival) for i in range(count)) for e in (0, 1, 2)
    }
    assert len(orders) == 3


def test_a_stream_is_read_once_per_epoch_and_one_block_is_held(tmp_path):
    write_shards(tmp_path / "x")
    with served(tmp_path / "x", ranges=False) as (address, asked):
        data = open_dataset(x=at(address), y=write_pictures(tmp_path / "y", 3, 1))
        asked.clear()
        count, arrival = len(data.train_x), data.train_x.arrival
        for place in range(count):
            data.train_x.read(picture_at(0, "x", 0, place, count, arrival))
        assert sum(line.startswith("GET") for line in asked) <= 3  # of the first, a block is held


def test_what_was_found_in_a_shard_is_kept_until_it_changes(tmp_path):
    write_shards(tmp_path / "x")
    with served(tmp_path / "x") as (address, asked):
        first = index(f"{address}/s-0.tar")
        asked.clear()
        assert index(f"{address}/s-0.tar") == first
        assert not any(line.startswith("GET") for line in asked)
        (tmp_path / "x" / "s-0.tar").write_bytes((tmp_path / "x" / "s-1.tar").read_bytes())
        assert [e.name for e in index(f"{address}/s-0.tar")] == [
            f"{i:02}.png" for i in range(8, 16)
        ]


def test_a_server_that_fails_for_a_moment_is_asked_again_and_said_so(tmp_path, caplog):
    write_shards(tmp_path / "x")
    with served(tmp_path / "x") as (address, _):
        entry = index(f"{address}/s-0.tar")[0]
        (tmp_path / "x" / "s-0.tar.fail").write_text("2")
        assert read(entry) == (tmp_path / "x" / "files" / "00.png").read_bytes()
        assert "try 2 of 4" in caplog.text
        (tmp_path / "x" / "s-0.tar.fail").write_text("99")
        with pytest.raises(UserError, match=r"cannot read .*s-0.tar.*503.*check the addr") as error:
            read(entry)
        assert str(error.value).count(address) == 1


@pytest.mark.parametrize("kept", [0.5, 0.93])
@pytest.mark.parametrize("stream", ["", "#stream"])
def test_a_damaged_shard_is_named_and_left_out_or_refused(kept, stream, tmp_path):
    write_shards(tmp_path / "x", pictures=63, per_shard=3)
    bad = tmp_path / "x" / "s-7.tar"
    content = bad.read_bytes()
    bad.write_bytes(content[: int(len(content.rstrip(b"\0")) * kept)])
    with pytest.raises(DamagedShard):
        index(str(bad))
    y = write_pictures(tmp_path / "y", 3, 1)
    data = open_dataset(x=f"{tmp_path}/x/s-{{0..20}}.tar{stream}", y=y)
    assert len(data.train_x) + len(data.test_x) == 60
    assert len(data.skipped) == 1
    assert "s-7.tar" in data.skipped[0][0]
    with pytest.raises(UserError, match="1 of 8 shards can't be read"):
        open_dataset(x=f"{tmp_path}/x/s-{{0..7}}.tar{stream}", y=y)


def test_a_header_that_was_hit_damages_the_shard(tmp_path):
    write_shards(tmp_path / "x")
    shard = tmp_path / "x" / "s-0.tar"
    content = bytearray(shard.read_bytes())
    at_header = index(str(shard))[3].offset - 512
    content[at_header + 3] ^= 8  # its checksum is no longer right
    shard.write_bytes(content)
    with pytest.raises(DamagedShard, match="bad checksum"):
        index(str(shard))


@pytest.mark.parametrize("stream", [False, True])
def test_a_header_of_zeros_is_no_end(stream, tmp_path):
    shard = tmp_path / "s.tar"
    with tarfile.open(shard, "w") as archive:
        for number in range(4):
            archive.addfile(*member(f"{number}.png", bytes([number]) * 700))
    content = bytearray(shard.read_bytes())
    header = index(str(shard))[2].offset - 512
    content[header : header + 512] = bytes(512)
    shard.write_bytes(content)
    with pytest.raises(DamagedShard, match="damaged"):
        open_shard(str(shard), stream=stream)


def test_a_shard_that_shrank_since_it_was_looked_through_gives_no_part_of_a_picture(tmp_path):
    write_shards(tmp_path / "x")
    shard = tmp_path / "x" / "s-0.tar"
    entry = index(str(shard))[0]
    shard.write_bytes(shard.read_bytes()[: entry.offset + entry.size - 1])
    with pytest.raises(UserError, match=f"{entry.size - 1} bytes where {entry.size} were asked"):
        read(entry)


def test_a_stream_whose_shard_lost_pictures_since_the_start_is_said_to_have_changed(tmp_path):
    write_shards(tmp_path / "x")
    y = write_pictures(tmp_path / "y", 3, 1)
    data = open_dataset(x=at(str(tmp_path / "x"), "#stream"), y=y)
    last = [name for name in data.train_x.names if name.startswith("s-1.tar/")][-1]
    write_shards(tmp_path / "fewer", pictures=9)  # of which s-1.tar has one
    (tmp_path / "fewer" / "s-1.tar").replace(tmp_path / "x" / "s-1.tar")
    with pytest.raises(UserError, match="pictures are gone; it changed since the start"):
        data.train_x.read(data.train_x.names.index(last))


@pytest.mark.parametrize("stream", ["", "#stream"])
def test_a_bad_picture_in_a_shard_is_skipped_as_one_in_a_folder(stream, tmp_path, monkeypatch):
    write_shards(tmp_path / "x", pictures=42, per_shard=14)
    with tarfile.open(tmp_path / "x" / "s-1.tar", "a") as archive:
        archive.addfile(*member("bad2.png", b"no picture"))  # of a name that is not held out
    y = write_pictures(tmp_path / "y", 3, 1)
    if not stream:
        data = open_dataset(x=at(str(tmp_path / "x")), y=y)
        assert data.skipped == (("s-1.tar/bad2.png", "not a whole image"),)
        assert len(data.train_x) + len(data.test_x) == 42
    monkeypatch.setattr(packed, "PROBED", 2)  # it is found only when its turn comes
    data = open_dataset(x=at(str(tmp_path / "x"), stream), y=y)
    assert "s-1.tar/bad2.png" in data.train_x.names
    told = []
    batches = take(data, count=len(data.train_x), on_skip=lambda *skip: told.append(skip))
    assert [(name.split("/")[-1], reason) for name, reason in told] == [
        ("bad2.png", "not a whole image")
    ]
    assert all(batch["x"].shape == (2, 3, 16, 16) for batch in batches)


def test_what_can_t_be_is_said_in_a_line(tmp_path):
    y = write_pictures(tmp_path / "y", 3, 1)
    for x, said in (
        (f"{tmp_path}/none-*.tar", "no shards match"),
        (f"{tmp_path}/none.tar", "cannot read"),
        ("nonsense://a.tar", "check the protocol"),
        (f"hf://{tmp_path}/y?colum=a", "no option colum"),
    ):
        with pytest.raises(UserError, match=said) as error:
            open_dataset(x=x, y=y)
        assert "\n" not in str(error.value)
    write_shards(tmp_path / "x")
    with pytest.raises(UserError, match="pairs are found in folders"):
        open_dataset(x=at(str(tmp_path / "x")), y=y, paired=True)


def test_a_server_that_is_away_has_its_address_said_once(tmp_path):
    with served(tmp_path) as (there, _):
        pass
    for address in (there, "http://no.such.host.invalid"):
        with pytest.raises(UserError) as error:
            index(f"{address}/x.tar")
        assert str(error.value).count(address) == 1
        assert "its server is away; check the address" in str(error.value)
    with pytest.raises(UserError) as error:
        index(f"{there.replace('//', '//me:secret@')}/x.tar")
    assert "secret" not in str(error.value)


def test_a_folder_of_shards_is_a_data_set(tmp_path):
    for split, count in (("trainA", 7), ("trainB", 5), ("testA", 2), ("testB", 2)):
        write_shards(tmp_path / split, count, 4, seed=len(split) + count)
        for shard in (tmp_path / split).glob("*.tar"):
            shard.rename(tmp_path / f"{split}-{shard.stem}.tar")
    data = open_dataset(str(tmp_path))
    assert [len(d) for d in (data.train_x, data.train_y, data.test_x, data.test_y)] == [7, 5, 2, 2]


@pytest.mark.parametrize("stream", [pytest.param("", marks=pytest.mark.slow), "#stream"])
def test_a_run_over_shards_resumes_bit_for_bit(stream, tmp_path):
    write_shards(tmp_path / "x")
    y = write_pictures(tmp_path / "y", 9, 1)
    where = at(str(tmp_path / "x"), stream)
    config = replace(tiny_config(y), data=None, x=where, y=str(y), steps=8, checkpoint_every=4)
    config = replace(config, schedule=ScheduleConfig(kind="constant"))  # whatever the length
    whole = train(config, tmp_path / "whole")
    train(replace(config, steps=4), tmp_path / "parts")
    parts = train(config, tmp_path / "parts", resume=True)
    for name in ("whole", "parts"):
        assert (tmp_path / name / "config.yaml").is_file()
    one, two = (weights(run) for run in (whole, parts))
    assert one.keys() == two.keys()
    assert all(torch.equal(one[name], two[name]) for name in one)


def weights(run: Path) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    folder = run / "checkpoints" / "step_00000008"
    return {
        f"{f.name}/{k}": v for f in folder.glob("*.safetensors") for k, v in load_file(f).items()
    }


# Hugging Face


def table_folder(folder: Path, pictures: int = 24, columns=("image",)):
    """A data set of small pictures, and its pixels."""
    datasets = need("datasets")
    files = sorted(write_pictures(folder / "files", pictures, 3).iterdir())
    rows = {c: [{"bytes": f.read_bytes(), "path": None} for f in files] for c in columns}
    features = datasets.Features({c: datasets.Image() for c in columns})
    return datasets.Dataset.from_dict(rows, features=features), [
        read_picture(f).pixels for f in files
    ]


@pytest.mark.parametrize("kind", ["saved", "parquet", "stream"])
def test_a_table_gives_its_pictures_in_a_fixed_order(kind, tmp_path):
    table, pixels = table_folder(tmp_path)
    if kind == "saved":
        table.save_to_disk(tmp_path / "t")
        spec = f"hf://{tmp_path}/t"
    else:
        table.to_parquet(tmp_path / "t.parquet")
        spec = f"hf://{tmp_path}/t.parquet" + ("?streaming=1" if kind == "stream" else "")
    y = write_pictures(tmp_path / "y", 9, 1)
    data = open_dataset(x=spec, y=y)
    assert (data.train_x.arrival is not None) == (kind == "stream")
    assert len(data.train_x) + len(data.test_x) == 24
    for i in (5, 2, len(data.train_x) - 1):
        row = int(data.train_x.names[i].split("/")[-1])
        assert np.array_equal(data.train_x.read(i), pixels[row])
    whole = take(data, count=16)
    again = open_dataset(x=spec, y=y)
    assert same(whole[5:], take(again, start=5, count=11))
    assert fingerprint(data) == fingerprint(again)


def test_a_table_of_pairs_has_both_in_a_row(tmp_path):
    datasets = need("datasets")
    table, pixels = table_folder(tmp_path, 12, ("photo", "map"))
    both = datasets.DatasetDict({"train": table, "test": table.select([0, 1])})
    both.save_to_disk(tmp_path / "t")
    data = open_dataset(f"hf://{tmp_path}/t?x=map&y=photo", paired=True)
    assert [len(d) for d in (data.train_x, data.train_y, data.test_x, data.test_y)] == [
        12,
        12,
        2,
        2,
    ]
    assert data.paired_test
    assert np.array_equal(data.train_y.read(7), pixels[7])
    with pytest.raises(UserError, match=r"2 columns of pictures"):
        open_dataset(x=f"hf://{tmp_path}/t", y=write_pictures(tmp_path / "y", 3, 1))


def test_splits_named_train_a_and_b_are_the_domains(tmp_path):
    datasets = need("datasets")
    table, _ = table_folder(tmp_path, 12)
    splits = {"trainA": range(7), "trainB": range(7, 12), "testA": [0, 1], "testB": [8]}
    sets = datasets.DatasetDict({name: table.select(rows) for name, rows in splits.items()})
    sets.save_to_disk(tmp_path / "t")
    data = open_dataset(f"hf://{tmp_path}/t")
    assert [len(d) for d in (data.train_x, data.train_y, data.test_x, data.test_y)] == [7, 5, 2, 1]


def test_a_row_that_is_no_picture_is_skipped_and_a_missing_table_is_said(tmp_path):
    datasets = need("datasets")
    buffer = io.BytesIO()
    Image.new("RGB", (20, 20)).save(buffer, "PNG")
    values = [buffer.getvalue()] * 30 + [b"no picture"]
    table = datasets.Dataset.from_dict({"png": values})
    table.save_to_disk(tmp_path / "t")
    y = write_pictures(tmp_path / "y", 3, 1)
    data = open_dataset(x=f"hf://{tmp_path}/t?column=png", y=y)
    ((name, reason),) = data.skipped
    assert (name.split("/")[-1], reason) == ("00000030", "not a whole image")
    assert name not in data.train_x.names
    with pytest.raises(UserError, match="cannot open"):
        open_dataset(x=f"hf://{tmp_path}/nowhere.parquet", y=y)


@pytest.mark.parametrize("stream", [False, True])
def test_a_shard_that_ends_without_its_end_mark_may_lack_more_and_is_damaged(stream, tmp_path):
    write_shards(tmp_path / "x")
    shard = tmp_path / "x" / "s-0.tar"
    content = shard.read_bytes()
    shard.write_bytes(content[: -(-len(content.rstrip(b"\0")) // 512) * 512])
    with pytest.raises(DamagedShard, match="cut short"):
        open_shard(str(shard), stream)
