"""TensorFlow Serving's gRPC contract: Predict, GetModelMetadata and GetModelStatus."""

import concurrent.futures
import logging
import time

from tfts.serving.errors import ServingError, invalid
from tfts.serving.saved_model import arrays_of

_LOG = logging.getLogger("tfts.serving")


class RpcServices:
    """The gRPC side of the server.

    Args:
        models: `Models`.
        meter: `Meter`, which counts what was answered.
        max_body: Most bytes of a request, and of each tensor in it.

    Example:

    >>> RpcServices(None, None, max_body=1000).max_body
    1000
    """

    def __init__(self, models, meter, *, max_body):
        self.models = models
        self.meter = meter
        self.max_body = max_body

    def handlers(self):
        """What `grpc.Server.add_generic_rpc_handlers` takes."""
        import grpc
        from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2, predict_pb2

        def method(function, request, answer):
            return grpc.unary_unary_rpc_method_handler(
                self._told(function),
                request_deserializer=request.FromString,
                response_serializer=answer.SerializeToString,
            )

        prediction = {
            "Predict": method(self.predict, predict_pb2.PredictRequest, predict_pb2.PredictResponse),
            "GetModelMetadata": method(
                self.metadata,
                get_model_metadata_pb2.GetModelMetadataRequest,
                get_model_metadata_pb2.GetModelMetadataResponse,
            ),
        }
        status = {
            "GetModelStatus": method(
                self.status,
                get_model_status_pb2.GetModelStatusRequest,
                get_model_status_pb2.GetModelStatusResponse,
            )
        }
        make = grpc.method_handlers_generic_handler
        return [
            make("tensorflow.serving.PredictionService", prediction),
            make("tensorflow.serving.ModelService", status),
        ]

    def predict(self, request, seconds):
        """Answers a `PredictRequest` within so many seconds, `None` for any."""
        import tensorflow as tf
        from tensorflow_serving.apis import predict_pb2

        with self.models.lease(*_which(request)) as version:
            signature = version.saved_model.signature(request.model_spec.signature_name)
            wanted = list(request.output_filter) or list(signature.outputs)
            for name in wanted:
                if name not in signature.outputs:
                    raise invalid(f"output tensor alias not found in signature: {name}")
            inputs = arrays_of(request.inputs, signature, self.max_body)
            future = version.saved_model.submit(signature.name, inputs)
            try:
                outputs = future.result(seconds)
            except concurrent.futures.TimeoutError:
                future.cancel()
                raise ServingError("DEADLINE_EXCEEDED", "The deadline passed before the model ran.") from None
        answer = predict_pb2.PredictResponse()
        answer.model_spec.name = request.model_spec.name
        answer.model_spec.version.value = version.number
        answer.model_spec.signature_name = signature.name
        for name in wanted:
            answer.outputs[name].CopyFrom(tf.make_tensor_proto(outputs[name]))
        return answer

    def metadata(self, request, seconds):
        """Answers a `GetModelMetadataRequest`."""
        from tensorflow_serving.apis import get_model_metadata_pb2

        fields = list(request.metadata_field)
        if fields != ["signature_def"]:
            raise invalid(f"metadata_field must be 'signature_def'. Received: {fields}.")
        answer = get_model_metadata_pb2.GetModelMetadataResponse()
        with self.models.lease(*_which(request)) as version:
            answer.model_spec.name = request.model_spec.name
            answer.model_spec.version.value = version.number
            signatures = get_model_metadata_pb2.SignatureDefMap()
            for name, meta in version.saved_model.meta.items():
                signatures.signature_def[name].CopyFrom(meta)
        answer.metadata["signature_def"].Pack(signatures)
        return answer

    def status(self, request, seconds):
        """Answers a `GetModelStatusRequest`."""
        from tensorflow_serving.apis import get_model_status_pb2

        answer = get_model_status_pb2.GetModelStatusResponse()
        for version in self.models.status(*_which(request)):
            one = answer.model_version_status.add()
            one.version = version.number
            one.state = get_model_status_pb2.ModelVersionStatus.State.Value(version.state)
            one.status.error_code = 2 if version.error else 0
            one.status.error_message = version.error
        return answer

    def _told(self, function):
        """The function with its errors as gRPC statuses, counted."""
        import grpc

        def answer(request, context):
            began = time.monotonic()
            code, words, answered = "OK", "", None
            try:
                answered = function(request, context.time_remaining())
            except ServingError as error:
                code, words = error.code, str(error)
            except Exception:
                # A fault of ours: its trace is for the log, and the client still gets an answer.
                _LOG.exception("A request failed")
                code, words = "INTERNAL", "The server failed on this request."
            self.meter.count(request.model_spec.name, "gRPC", code, time.monotonic() - began)
            if answered is None:
                context.abort(grpc.StatusCode[code], words)
            return answered

        return answer


def _which(request):
    """Name, version and label that a request is for."""
    spec = request.model_spec
    if not spec.name:
        raise invalid("Missing ModelSpec name")
    choice = spec.WhichOneof("version_choice")
    return spec.name, spec.version.value if choice == "version" else None, spec.version_label or None
