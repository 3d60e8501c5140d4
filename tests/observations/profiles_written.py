"""Two profiles of the picture in files of other people's writers.

Each writer takes a stem without a suffix and two sides (name, positions in mm, counts), and returns
the files. Positions rise: from the left, from below.
"""

import h5py
import numpy as np


def each(suffix, save):
    """A file for each side, by save(path, name, positions, counts)."""

    def write(stem, sides):
        paths = [stem.with_name(f"{stem.name}_{side[0]}").with_suffix(suffix) for side in sides]
        for path, side in zip(paths, sides, strict=True):
            save(path, *side)
        return paths

    return write


def table(unit="", factor=1.0, **options):
    def save(path, name, positions, counts):
        import pandas

        columns = {f"{name}{unit}": factor * positions, "counts": counts}
        pandas.DataFrame(columns).to_csv(path, **options)

    return save


def both(stem, sides):
    """Beside each other in one table; the shorter one ends in blank cells."""
    import pandas

    columns = {}
    for name, positions, counts in sides:
        columns[f"{name} [mm]"] = pandas.Series(positions)
        columns[f"I_{name}"] = pandas.Series(counts)
    path = stem.with_suffix(".csv")
    pandas.DataFrame(columns).to_csv(path, index=False)
    return [path]


def savetxt(**options):
    def save(path, name, positions, counts):
        np.savetxt(path, np.stack([positions, counts], 1), **options)

    return save


def silx_nxdata(path, name, positions, counts):
    from silx.io.nxdata import save_NXdata

    save_NXdata(
        str(path), counts, axes=[positions], signal_name="counts", axes_names=["position"],
        axes_long_names=[f"{name} position (mm)"],
    )  # fmt: skip


def nexusformat(path, name, positions, counts):
    from nexusformat import nexus

    axis = nexus.NXfield(1e-3 * positions, name=name, units="m")
    data = nexus.NXdata(nexus.NXfield(counts, name="counts"), (axis,))
    nexus.NXroot(nexus.NXentry(data)).save(str(path), "w")


def h5(units="mm", falls=False, edges=False):
    def save(path, name, positions, counts):
        if edges:
            half = (positions[1] - positions[0]) / 2
            positions = np.append(positions - half, positions[-1] + half)
        way = slice(None, None, -1 if falls else 1)
        with h5py.File(path, "w") as file:
            data = file.create_group("entry/plot")
            file["entry"].attrs["NX_class"] = "NXentry"
            data.attrs.update({"NX_class": "NXdata", "signal": "n", "axes": name})
            data["n"], data[name] = counts[way], positions[way]
            if units:
                data[name].attrs["units"] = units

    return save


def spec(path, name, positions, counts):
    """As the manual of SPEC has it; motors have no unit. The second scan is of another motor."""
    motor = f"sl{name}"
    lines = [f"#F {path.name}", "#E 1700000000", "#D Tue Nov 14 22:13:20 2023", "#C beamline", "",
             f"#S 1  ascan  {motor} {positions[0]:g} {positions[-1]:g} {len(positions) - 1} 1",
             "#D Tue Nov 14 22:13:20 2023", "#T 1  (Seconds)", "#N 4",
             f"#L {motor}  Epoch  Seconds  diode"]  # fmt: skip
    rows = zip(positions, counts, strict=True)
    lines += [f"{p:.6g} {i} 1 {c:g}" for i, (p, c) in enumerate(rows)]
    lines += ["", "#S 2  ascan  th 0 1 2 1", "#D Tue Nov 14 22:20:00 2023", "#N 4",
              "#L th  Epoch  Seconds  diode", "0 0 1 5", "0.5 1 1 6", "1 2 1 7"]  # fmt: skip
    path.write_text("\n".join(lines) + "\n")


def srw(path, name, positions, counts):
    """As srwpy.srwlib.srwl_uti_save_intens_ascii writes a cut."""
    lines = ["#Intensity [ph/s/.1%bw/mm^2] (C-aligned, inner loop is vs Photon Energy, outer loop "
             "vs Vertical Position)"]  # fmt: skip
    along = {"x": "Horizontal Position", "y": "Vertical Position"}
    ranges = {"Photon Energy": ("eV", 1208.0, 1208.0, 1)}
    ranges |= {label: ("m", 0.0, 0.0, 1) for label in along.values()}
    ranges[along[name]] = ("m", positions[0] / 1e3, positions[-1] / 1e3, len(positions))
    for label, (unit, first, last, n) in ranges.items():
        lines += [f"#{first} #Initial {label} [{unit}]", f"#{last} #Final {label} [{unit}]"]
        lines += [f"#{n} #Number of points vs {label}"]
    lines += ["#1 #Number of components", *(f" {float(v)}" for v in counts)]
    path.write_text("\n".join(lines) + "\n")


def array(path, name, positions, counts):
    np.save(path, counts)


def archive(path, name, positions, counts):
    np.savez(path, counts=counts)


def column(path, name, positions, counts):
    np.savetxt(path, counts, header="counts")


def frame_column(path, name, positions, counts):
    import pandas

    pandas.Series(counts, name="counts").to_csv(path, index=False)


def h5_counts(path, name, positions, counts):
    with h5py.File(path, "w") as file:
        file["counts"] = counts


COUNTS = {
    "NumPy .npy": each(".npy", array),
    "NumPy .npz": each(".npz", archive),
    "numpy.savetxt, one column": each(".txt", column),
    "pandas CSV, one column": each(".csv", frame_column),
    "h5py, one array": each(".h5", h5_counts),
}
# by what the file says of where its readings lie
WRITERS = {
    "positions": {
        "pandas CSV": each(".csv", table(" [mm]", index=False)),
        "pandas CSV with index": each(".csv", table(" [um]", 1e3)),
        "pandas ; and decimal comma": each(".csv", table(" (mm)", sep=";", decimal=",")),
        "pandas UTF-16, tabs, micro sign": each(
            ".csv", table(" (\u00b5m)", 1e3, sep="\t", encoding="utf-16", index=False)
        ),
        "pandas, both in one table": both,
        "numpy.savetxt with a header": each(".txt", savetxt(header="pos_mm counts")),
        "silx save_NXdata, unit in long_name": each(".h5", silx_nxdata),
        "nexusformat": each(".nxs", nexusformat),
        "h5py": each(".nxs", h5()),
        "h5py, falling": each(".nxs", h5(falls=True)),
        "h5py, edges": each(".nxs", h5(edges=True)),
        "SRW": each(".dat", srw),
    },
    "mm supposed": {
        "numpy.savetxt": each(".txt", savetxt()),
        "pandas CSV, bare": each(".csv", table(index=False, header=False)),
        "pandas CSV, no unit": each(".csv", table(index=False)),
        "SPEC": each(".spec", spec),
    },
    "no unit": {"h5py": each(".nxs", h5(""))},
    "counts": COUNTS,
    "bins": COUNTS,
}
FALLS = {"h5py, falling"}
