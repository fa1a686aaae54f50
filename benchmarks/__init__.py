"""The engine against the genuine Caffe, side by side: what is compared, how it is timed, how it is reported."""
