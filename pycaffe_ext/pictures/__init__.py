"""Every picture is decoded here: bytes in, pixels out, whatever the file is called.

`opencv` reads as Caffe's programs and layers do, which take what OpenCV makes of a file, damaged or not. `stored` reads
frames and masks for a person: upright, whole, with nothing dropped in silence; JPEG, PNG and TIFF have a module each.
"""
