"""The data sets that are read, the special before the general: what no other knows may be `plain`."""

from __future__ import annotations

from pycaffe_ext.data.sources.asu_mayo import ASU_MAYO
from pycaffe_ext.data.sources.cvc_clinicdb import CVC_CLINICDB
from pycaffe_ext.data.sources.cvc_colondb import CVC_COLONDB
from pycaffe_ext.data.sources.etis_larib import ETIS_LARIB
from pycaffe_ext.data.sources.hyperkvasir import HYPERKVASIR
from pycaffe_ext.data.sources.kvasir_seg import KVASIR_SEG
from pycaffe_ext.data.sources.plain import PLAIN
from pycaffe_ext.data.sources.polypgen import POLYPGEN
from pycaffe_ext.data.sources.videos import VIDEOS

SOURCES = {
    source.slug: source
    for source in (
        KVASIR_SEG,
        HYPERKVASIR,
        CVC_CLINICDB,
        CVC_COLONDB,
        ETIS_LARIB,
        POLYPGEN,
        ASU_MAYO,
        VIDEOS,
        PLAIN,
    )
}
GENERAL = (VIDEOS, PLAIN)  # layouts rather than data sets
