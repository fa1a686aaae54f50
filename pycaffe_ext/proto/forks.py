"""Layer types, fields and values in prototxts of Caffe's forks that BVLC Caffe 1.0 doesn't know, and whose they are.

Part of it is read off published schemas (SSD, NVCaffe, PSPNet) and nets, the rest is what these forks are commonly
known for.  Many forks took layers from one another; those that are named are where the layer came from or is best known
from.
"""

from __future__ import annotations

from collections.abc import Iterable

from pycaffe_ext.errors import UserError, known

_FASTER = "Fast and Faster R-CNN (caffe-fast-rcnn)"
_RFCN = "R-FCN (caffe-rfcn)"
_SSD = "SSD (weiliu89/caffe)"
_PSPNET = "PSPNet (hszhao/PSPNet)"
_SEGNET = "SegNet (caffe-segnet)"
_DEEPLAB = "DeepLab (deeplab-public-ver2)"
_TSN = "TSN (yjxiong/caffe)"
_FLOWNET = "FlowNet (lmb-freiburg/flownet2)"
_YOLO = "YOLO for Caffe (MobileNet-YOLO)"
_NVIDIA = "NVCaffe (NVIDIA/caffe)"
_INTEL = "Intel Caffe (intel/caffe)"
_RISTRETTO = "Ristretto (pmgysel/caffe)"
_MOBILENET = "MobileNet for Caffe"

TYPES = {
    **dict.fromkeys(("ROIPooling", "SmoothL1Loss"), _FASTER),
    **dict.fromkeys(("PSROIPooling", "BoxAnnotatorOHEM", "SmoothL1LossOHEM", "SoftmaxWithLossOHEM"), _RFCN),
    **dict.fromkeys(
        ("AnnotatedData", "DetectionEvaluate", "DetectionOutput", "MultiBoxLoss", "Normalize", "Permute", "PriorBox"),
        _SSD,
    ),
    "VideoData": f"{_TSN} and {_SSD}",
    "BN": f"{_SEGNET}, {_TSN} and {_PSPNET}",
    "Interp": f"{_DEEPLAB} and {_PSPNET}",
    "Upsample": f"{_SEGNET} and {_YOLO}",
    "DenseImageData": _SEGNET,
    **dict.fromkeys(("DenseCRF", "ImageSegData", "MatRead", "MatWrite", "SegAccuracy", "UniqueLabel"), _DEEPLAB),
    **dict.fromkeys(("BatchReduction", "SegmentConsensus"), _TSN),
    **dict.fromkeys(
        (
            "Accum",
            "BlackAugmentation",
            "ChannelNorm",
            "Correlation",
            "Correlation1D",
            "CustomData",
            "DataAugmentation",
            "Downsample",
            "FlowAugmentation",
            "FlowWarp",
            "GenerateAugmentationParameters",
            "L1Loss",
            "LpqLoss",
            "Mean",
            "Resample",
        ),
        _FLOWNET,
    ),
    **dict.fromkeys(
        ("EvalDetection", "RegionLoss", "Reorg", "YoloDetectionOutput", "Yolov3", "Yolov3DetectionOutput"), _YOLO
    ),
    "DetectNetTransformation": _NVIDIA,
    **dict.fromkeys(("ConvolutionRistretto", "DeconvolutionRistretto", "FcRistretto", "LRNRistretto"), _RISTRETTO),
    **dict.fromkeys(("ConvolutionDepthwise", "DepthwiseConvolution", "ReLU6"), _MOBILENET),
    "ShuffleChannel": "ShuffleNet for Caffe",
    "Axpy": "SENet (hujie-frank/SENet)",
    "CenterLoss": "caffe-face (ydwen/caffe-face)",
    "LargeMarginInnerProduct": "L-Softmax (wy1iu/LargeMargin_Softmax_Loss)",
    "MarginInnerProduct": "SphereFace (wy1iu/sphereface)",
    **dict.fromkeys(("Convolution3D", "Deconvolution3D", "Pooling3D"), "C3D (facebook/C3D)"),
}

FIELDS = {
    "LayerParameter": {
        "roi_pooling_param": _FASTER,
        "smooth_l1_loss_param": _FASTER,
        "proposal_param": _FASTER,
        **dict.fromkeys(("psroi_pooling_param", "box_annotator_ohem_param"), _RFCN),
        **dict.fromkeys(
            (
                "annotated_data_param",
                "detection_evaluate_param",
                "detection_output_param",
                "multibox_loss_param",
                "norm_param",
                "permute_param",
                "prior_box_param",
            ),
            _SSD,
        ),
        "video_data_param": TYPES["VideoData"],
        "bn_param": TYPES["BN"],
        "interp_param": TYPES["Interp"],
        "upsample_param": TYPES["Upsample"],
        "dense_image_data_param": _SEGNET,
        **dict.fromkeys(
            ("dense_crf_param", "mat_read_param", "mat_write_param", "seg_accuracy_param", "unique_label_param"),
            _DEEPLAB,
        ),
        "batch_reduction_param": _TSN,
        **dict.fromkeys(
            (
                "accum_param",
                "augmentation_param",
                "black_augmentation_param",
                "correlation_param",
                "downsample_param",
                "flow_warp_param",
                "l1_loss_param",
                "lpq_loss_param",
                "mean_param",
                "reader_param",
                "resample_param",
                "reshape_every_iter",
                "writer_param",
            ),
            _FLOWNET,
        ),
        **dict.fromkeys(
            (
                "eval_detection_param",
                "region_loss_param",
                "reorg_param",
                "yolo_detection_output_param",
                "yolov3_detection_output_param",
                "yolov3_param",
            ),
            _YOLO,
        ),
        **dict.fromkeys(("detectnet_augmentation_param", "detectnet_groundtruth_param"), _NVIDIA),
        "quantization_param": _RISTRETTO,
        "shuffle_channel_param": TYPES["ShuffleChannel"],
        "center_loss_param": TYPES["CenterLoss"],
        "large_margin_inner_product_param": TYPES["LargeMarginInnerProduct"],
        "margin_inner_product_param": TYPES["MarginInnerProduct"],
        **dict.fromkeys(("forward_type", "backward_type", "forward_math", "backward_math"), _NVIDIA),
        **dict.fromkeys(("engine", "mn_activation_param", "mn_grad_compress_param", "multinode"), _INTEL),
    },
    "TransformationParameter": {
        **dict.fromkeys(
            ("crop_h", "crop_w", "distort_param", "emit_constraint", "expand_param", "noise_param", "resize_param"),
            _SSD,
        ),
        **dict.fromkeys(("fix_crop", "more_fix_crop", "multi_scale", "scale_ratios", "max_distort", "is_flow"), _TSN),
        **dict.fromkeys(("random_aspect_ratio_param", "random_resize_param"), _INTEL),
        **dict.fromkeys(("img_rand_resize_lower", "img_rand_resize_upper"), _NVIDIA),
        **dict.fromkeys(("gaussian_blur", "rand_aspect_ratio", "rand_resize", "rand_rotate"), _PSPNET),
        **dict.fromkeys(
            (
                "apply_probability",
                "contrast_brightness_adjustment",
                "max_brightness_shift",
                "max_color_shift",
                "max_contrast",
                "max_rotation_angle",
                "max_scaling_factor",
                "max_smooth",
                "min_contrast",
                "min_scaling_factor",
                "min_side",
                "min_side_max",
                "min_side_min",
                "smooth_filtering",
                "debug_params",
            ),
            "caffe-augmentation (twtygqyy/caffe-augmentation)",
        ),
    },
    "BatchNormParameter": {
        **dict.fromkeys(("bias_filler", "scale_filler", "scale_bias"), _NVIDIA),
        "engine": f"{_NVIDIA} and {_INTEL}",
    },
    "LossParameter": {
        **dict.fromkeys(("class_weighting", "ignore_label_weight", "weight_by_label_freqs"), _SEGNET),
    },
    "DropoutParameter": {"sample_weights_test": _SEGNET, "scale_train": _FASTER},
    "ConvolutionParameter": {
        **dict.fromkeys(("hole", "hole_h", "hole_w"), f"{_DEEPLAB} and {_PSPNET}; Caffe's name for it is dilation"),
        "cudnn_convolution_algo_seeker": _NVIDIA,
    },
    "DataParameter": {"shuffle": _PSPNET, "threads": _NVIDIA},
    "ImageDataParameter": {"ignore_label": _PSPNET, "label_type": f"{_DEEPLAB} and {_PSPNET}"},
    "SolverParameter": {
        **dict.fromkeys(("ap_version", "eval_type", "show_per_class_result"), _SSD),
        "plateau_winsize": _SSD,
        **dict.fromkeys(("local_lr_auto", "local_gw_ratio", "rampup_interval", "rampup_lr", "min_lr"), _NVIDIA),
    },
    "NetParameter": {
        **dict.fromkeys(
            (
                "default_forward_type",
                "default_backward_type",
                "default_forward_math",
                "default_backward_math",
                "default_conv_algos_override",
                "global_grad_scale",
            ),
            _NVIDIA,
        ),
        **dict.fromkeys(("compile_net_state", "bn_stats_batch_size"), _INTEL),
        "engine": _INTEL,
        "mem_param": "the memory optimisation of yjxiong/caffe and PSPNet",
    },
}

VALUES = {"MKL2017": _INTEL, "MKLDNN": _INTEL, "MKL2017_CPU": _INTEL}


def type_hint(kind: str) -> str:
    """What is said of a layer type that only forks know; "" for any other."""
    return _hint(f"type {kind!r}", TYPES.get(kind))


def field_hint(field: str, message: str) -> str:
    """What is said of a field that only forks' `message` has; "" for any other."""
    return _hint(f"field {field!r} of {message}", FIELDS.get(message, {}).get(field))


def value_hint(value: str) -> str:
    """What is said of an enumeration's value that only forks know, old layer types included; "" for any other."""
    fork = VALUES.get(value) or {kind.lower(): fork for kind, fork in TYPES.items()}.get(value.replace("_", "").lower())
    return _hint(f"value {value!r}", fork)


def known_type(layer: str, kind: str, choices: Iterable[str]) -> str:
    """Return `kind`, a layer's type, if it is one of `choices`; UserError that says which fork has it, if one has."""
    if kind not in choices and kind in TYPES:
        raise UserError(f"layer {layer!r}: {type_hint(kind)}")
    return known(kind, choices, f"type of layer {layer!r}:")


def _hint(what: str, fork: str | None) -> str:
    return f"{what} is not in BVLC Caffe 1.0; it is known from {fork}" if fork else ""
