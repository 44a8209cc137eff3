"""DICOM: the slices of a series, in one file each or as frames of one file, as a volume.

Positions and directions in DICOM are LPS (PS3.3, C.7.6.2.1.1). A volume's axes are (column, row, slice): the
first runs along a row of the image, the second down its columns, the third from slice to slice.
"""

from .series import NotASlice, Series, looks_like, series_of
from .volume import read

__all__ = ["NotASlice", "Series", "looks_like", "read", "series_of"]
